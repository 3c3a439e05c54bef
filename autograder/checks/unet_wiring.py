"""Checks of a UNet's wiring: which member got which input, with doubles in place of all members."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograder.checks.batches import rows_of, together
from autograder.checks.evidence import close, is_rounded, off
from autograder.checks.findings import Finding
from autograder.checks.messages import MAX_OUTPUT, Asked, Tensor
from autograder.sandbox.wire import member_answer

ROLES = ("residual block", "transformer", "resampling")
EMBEDDINGS = ("time_embd", "label_embd")  # their outputs are the conditions of the first two roles
MAX_PARTS = 16  # of a concatenation that a message lists
MAX_SUMS = 200  # outputs that are tried as the two terms of a sum


@dataclass(repr=False)  # pytest would spell out all its numbers
class Wiring:
    """Answers each member of a UNet with fresh numbers, so that every value shows its origin.

    Args:
        needed: for each level of encoder and decoder, which of its three members must exist.
        random: draws the seed of the answers.
        batch: the network's number of samples; members may get them in pieces.
    """

    needed: dict[str, list[list[bool]]]
    random: np.random.Generator
    batch: int
    calls: list[tuple[Asked, np.ndarray]] = field(default_factory=list)
    by_front: dict[Any, tuple[str, np.ndarray]] = field(default_factory=dict)  # see `front`
    odd: str = ""  # a member whose output's size does not fit its input

    def __post_init__(self) -> None:
        self.seed = int(self.random.integers(1 << 62))
        self.random = np.random.default_rng(self.seed)

    def answer(self, asked: Asked) -> np.ndarray:
        """A member's output: numbers that cannot be known beforehand."""
        value = member_answer(self.random, asked.shape)
        if not self.odd and not fits(asked):
            self.odd = asked.name
        self.calls.append((asked, value))
        self.remember(asked.name, value)
        return value

    def remember(self, name: str, value: np.ndarray) -> None:
        """Store an output under a key made from its first channel."""
        if value.ndim > 1:
            self.by_front[front(value)] = name, value

    def join_pieces(self) -> None:
        """Merge each member's calls for pieces of the batch, at the place of the first of them.

        Each row keeps its numbers, which show its origin, so that pieces in another order, or of
        different samples, do not pass for the batch.
        """
        groups: list[list[tuple[Asked, np.ndarray]]] = []
        waiting: dict[str, list[tuple[Asked, np.ndarray]]] = {}
        for asked, value in self.calls:
            if asked.name not in waiting:
                groups.append([])
                waiting[asked.name] = groups[-1]
            group = waiting[asked.name]
            group.append((asked, value))
            if not 0 < sum(rows_of(given(a)) for a, _ in group) < self.batch:
                del waiting[asked.name]
        self.calls = []
        for group in groups:
            whole = joined_calls(group, self.batch)
            self.calls += whole
            if len(group) > len(whole):
                self.remember(whole[0][0].name, whole[0][1])

    def output(self, name: str) -> np.ndarray | None:
        """The last output of a member; None if it did not run."""
        for asked, value in reversed(self.calls):
            if asked.name == name:
                return value
        return None

    def skips(self, structure: dict[str, Any]) -> list[np.ndarray]:
        """The encoder's outputs before each downsampling, finest level first."""
        found = []
        for i, (_, transformer, _) in enumerate(levels(structure, self.needed, "encoder")):
            value = self.output(f"encoder.{i}.{1 if transformer else 0}")
            if value is None:
                raise Finding(f"Level {i} of the encoder did not run.", "unet_encoder_changed")
            found.append(value)
        return found

    def check(self, structure: dict[str, Any], result: Any) -> None:
        """Compare the calls with a walk through the right decoder.

        Args:
            structure: for each level of "encoder" and "decoder", which of its three members exist.
            result: the network's output, or None if it raised an error.

        Raises:
            Finding
        """
        self.join_pieces()
        if self.odd:
            reason = f"{self.odd} gives an output of another size than its input allows."
            raise Finding(reason, "unet_structure")
        skips = self.skips(structure)
        x = self.output("mid_res_block2")
        if x is None:
            raise Finding("self.mid_res_block2 did not run.", "unet_encoder_changed")
        time, context = self.output("time_embd"), self.output("label_embd")
        ran = [(a, v) for a, v in self.calls if a.name.startswith(("decoder.", "final_conv"))]
        for i, members in enumerate(levels(structure, self.needed, "decoder")):
            for j, condition in enumerate((time, context, None)):
                if not members[j]:
                    continue
                if j < 2 and condition is None:
                    name = f"self.{EMBEDDINGS[j]}"  # given code, which runs before the encoder
                    reason = f"No {name} ran, so the network's wiring cannot be followed."
                    raise Finding(reason, "unet_other_names")
                wanted = [x, skips[-1 - i]] if j == 0 else [x]
                if not ran or ran[0][0].name != f"decoder.{i}.{j}":
                    raise self.out_of_turn(i, j, [asked.name for asked, _ in ran])
                asked, x = ran.pop(0)
                self.check_input(asked, wanted, condition, f"level {i}'s {ROLES[j]}")
        if not ran or ran[0][0].name != "final_conv":
            raise Finding("After the decoder, self.final_conv did not run.", "unet_final")
        self.check_input(ran[0][0], [x], None, "self.final_conv")
        if not isinstance(result, Tensor) or not same(result, ran[0][1]):
            raise Finding("The result is not the output of self.final_conv.", "unet_final")

    def check_gradients(self, structure: dict[str, Any], gradients: dict[str, float]) -> None:
        """Check that gradients reach every member, and each encoder output along all of its paths.

        Each use of an output adds the same amount, so it shows if a path is cut.
        """
        cut = [asked.name for asked, _ in self.calls if not gradients.get(asked.name)]
        if cut:
            raise Finding(f"No gradient reaches {cut[0]}, so it cannot learn.", "unet_detached")
        encoder = levels(structure, self.needed, "encoder")
        for i, (_, transformer, _) in enumerate(encoder):
            name = f"encoder.{i}.{1 if transformer else 0}"
            total = float(self.output(name).astype(np.float64).sum())
            uses = len(encoder) - i + 1  # in the decoder at its own level, and in all deeper levels
            if off(gradients[name], uses * total, 0.02 * (1 + abs(total))):
                raise Finding(
                    f"The decoder's level that uses the output of {name} passes no gradient to it.",
                    "unet_detached",
                )

    def out_of_turn(self, i: int, j: int, left: list[str]) -> Finding:
        """The Finding for a member of the decoder that did not run in its turn."""
        missing = f"decoder.{i}.{j}" not in left
        instead = f"{left[0]} ran instead" if left else "nothing ran after"
        hints = ("unet_block_missing", "unet_transformer_missing", "unet_upsample_missing")
        if not any(name.startswith("decoder") for name in left) and i == 0 and j == 0:
            return Finding("The decoder did not run.", "unet_no_decoder")
        if missing:
            reason = f"In the decoder, level {i}'s {ROLES[j]} never ran ({instead})."
            return Finding(reason, hints[j])
        reason = f"In the decoder, level {i}'s {ROLES[j]} did not run when it should ({instead})."
        return Finding(reason, "unet_order")

    def check_input(
        self, asked: Asked, wanted: list[np.ndarray], condition: np.ndarray | None, who: str
    ) -> None:
        """Check that a member got the concatenation of these arrays, and its condition."""
        args = given(asked)
        if not args or not isinstance(args[0], Tensor) or not same(args[0], joined(wanted)):
            found = self.explain(args[0] if args else None)
            hint = self.input_hint(args[0] if args else None, wanted)
            names = ", ".join(self.name_of(array) for array in wanted)
            names = f"cat([{names}])" if len(wanted) > 1 else names
            raise Finding(f"In the decoder, {who} got {found}; expected {names}.", hint)
        if condition is None:
            return
        if len(args) < 2 or not same_condition(args[1], condition):
            found = self.explain(args[1] if len(args) > 1 else None)
            few = len(args) > 1 and is_rounded(args[1], condition)
            raise Finding(
                f"In the decoder, {who} got {found} as its condition; expected "
                f"{self.name_of(condition)}.",
                "loses_digits" if few else "unet_condition",
            )

    def input_hint(self, value: Any, wanted: list[np.ndarray]) -> str:
        """The hint for a wrong input of a member."""
        if len(wanted) == 1:
            return "loses_digits" if is_rounded(value, wanted[0]) else "unet_not_passed_on"
        x, skip = wanted
        if not isinstance(value, Tensor) or value.array is None:
            return "unet_input"
        if is_rounded(value, joined(wanted)):
            return "loses_digits"
        if same(value, x) or same(value, skip):
            return "unet_no_skip"
        if same(value, joined([skip, x])):
            return "unet_cat_order"
        if x.shape == skip.shape == value.array.shape and close(value.array, x + skip, 1e-5):
            return "unet_skip_added"
        parts = self.parts(value.array)
        if parts and all(np.array_equal(part, x) for part in parts):
            return "unet_no_skip"
        if parts and len(parts) == 2:
            return "unet_skip_order" if np.array_equal(parts[0], x) else "unet_not_passed_on"
        return "unet_input"

    def parts(self, array: np.ndarray) -> list[np.ndarray]:
        """The outputs whose concatenation along the channels an array is; [] if it is none."""
        found: list[np.ndarray] = []
        while array.ndim > 1 and array.shape[1] and len(found) < MAX_PARTS:
            _, value = self.by_front.get(front(array), ("", None))
            if value is None or not np.array_equal(array[:, : value.shape[1]], value):
                return []
            found.append(value)
            array = array[:, value.shape[1] :]
        return [] if array.ndim < 2 or array.shape[1] else found

    def explain(self, value: Any) -> str:
        """The origin of a value, in words."""
        if not isinstance(value, Tensor) or value.array is None:
            return "no tensor"
        parts = self.parts(value.array)
        if parts:
            names = ", ".join(self.name_of(part) for part in parts)
            return f"cat([{names}])" if len(parts) > 1 else names
        pair = self.addends(value.array)
        if pair:
            return f"the sum of {self.name_of(pair[0])} and {self.name_of(pair[1])}"
        return f"something of shape {value.shape} that no member returned"

    def addends(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Two of the last outputs whose sum is this array, found by their first numbers."""
        outputs = [v for _, v in self.calls[-MAX_SUMS:] if v.shape == array.shape]
        first = np.array([value.flat[0] for value in outputs])
        for a, number in zip(outputs, first, strict=True):
            (places,) = np.nonzero(~off(first, array.flat[0] - number, 1e-4))
            for b in (outputs[i] for i in places[:MAX_PARTS]):
                if close(array, a + b, 1e-5):
                    return a, b
        return None

    def name_of(self, array: np.ndarray) -> str:
        """The member that returned an array, in words."""
        name, value = self.by_front.get(front(array), ("", None)) if array.ndim > 1 else ("", None)
        if value is not None and np.array_equal(value, array):
            return f"the output of {name}"
        return "something else"


def fits(asked: Asked) -> bool:
    """Whether an output's size, as the worker states it, fits the input.

    Residual blocks and transformers keep height and width, resampling halves or doubles them.
    """
    tensors = [v for v in given(asked) if isinstance(v, Tensor)]
    part, _, place = asked.name.partition(".")
    if not tensors or len(tensors[0].shape) != 4 or asked.shape is None:
        return True  # its input is checked later
    if part not in ("encoder", "decoder", "final_conv"):
        return True
    batch, _, *size = tensors[0].shape
    allowed = [size]
    if place.endswith(".2"):
        halves = [[n // 2 for n in size], [(n + 1) // 2 for n in size]]
        allowed = halves if part == "encoder" else [[2 * n for n in size]]
    found = asked.shape
    if place.endswith(".1") and found != tensors[0].shape:
        return False
    return len(found) == 4 and found[0] == batch and found[2:] in allowed


def given(asked: Asked) -> list[Any]:
    """All arguments of a call."""
    return [*asked.args, *asked.kwargs.values()]


def joined_calls(
    pieces: list[tuple[Asked, np.ndarray]], batch: int
) -> list[tuple[Asked, np.ndarray]]:
    """Merge one member's calls for pieces of a batch; unchanged if they do not make a batch."""
    rows = [rows_of(given(asked)) for asked, _ in pieces]
    outputs = [value for _, value in pieces]
    fit = all(
        value.shape[:1] == (n,) and value.shape[1:] == outputs[0].shape[1:]
        for value, n in zip(outputs, rows, strict=True)
    )
    if len(pieces) == 1 or sum(rows) != batch or not fit:
        return pieces
    args = together([{str(i): a for i, a in enumerate(asked.args)} for asked, _ in pieces])
    kwargs = together([asked.kwargs for asked, _ in pieces])
    value = np.concatenate(outputs)
    asked = Asked(pieces[0][0].name, [*args.values()], kwargs, list(value.shape))
    return [(asked, value)]


def front(array: np.ndarray) -> tuple[Any, ...]:
    """A dictionary key that identifies an output by its first channel."""
    first = array[:, :1]
    numbers = first.astype(np.float32).tobytes() if first.size <= MAX_OUTPUT else b""
    return array.shape[0], array.shape[2:], hashlib.sha256(numbers).digest()


def joined(arrays: list[np.ndarray]) -> np.ndarray | None:
    """The concatenation along the channels; None if the shapes do not allow it."""
    if any(a.ndim < 2 or (a.shape[0], a.shape[2:]) != (b.shape[0], b.shape[2:])
           for a, b in itertools.pairwise([*arrays, arrays[0]])):  # fmt: skip
        return None
    return np.concatenate(arrays, axis=1)


def needed_levels(
    dim_mults: Sequence[int] = (1, 2, 4), attn_levels: Sequence[int] = (0, 1), **_: Any
) -> dict[str, list[list[bool]]]:
    """Which members each level of a UNet with these arguments must have."""
    last = len(dim_mults) - 1
    encoder = [[True, i in attn_levels, i < last] for i in range(last + 1)]
    decoder = [[True, last - i in attn_levels, i < last] for i in range(last + 1)]
    return {"encoder": encoder, "decoder": decoder}


def levels(structure: dict[str, Any], needed: dict[str, Any], name: str) -> list[list[bool]]:
    """For each level of encoder or decoder, which of its three members exist.

    Args:
        structure: the worker's statement, which must include every needed member.
        needed: the members that the network must have, given its arguments.
    """
    found, wanted = structure.get(name), needed[name]
    if not found or len(found) != len(wanted) or any(len(level) != 3 for level in found):
        raise Finding(
            f"self.{name} does not consist of {len(wanted)} entries (ResBlock, SpatialTransformer "
            "or None, resampling or None).",
            "unet_structure",
        )
    for i, (members, least) in enumerate(zip(found, wanted, strict=True)):
        for member, must, role in zip(members, least, ROLES, strict=True):
            if must and not member:
                raise Finding(f"self.{name}[{i}] has no {role}.", "unet_structure")
    return found


def same(value: Tensor, array: np.ndarray | None) -> bool:
    """Whether a tensor has exactly these values."""
    return value.array is not None and array is not None and np.array_equal(value.array, array)


def same_condition(value: Any, array: np.ndarray) -> bool:
    """Whether a block's condition has these values for each sample.

    Axes of length 1 are ignored: a label's embedding may be [B, context_dim], or a context of one
    token, [B, 1, context_dim]; which code adds the axis is a matter of style.
    """
    if not isinstance(value, Tensor) or value.array is None or not value.array.ndim:
        return False
    return np.array_equal(without_ones(value.array), without_ones(array))


def without_ones(array: np.ndarray) -> np.ndarray:
    """The array without its axes of length 1, except the first one, the batch."""
    return array.reshape(len(array), *(n for n in array.shape[1:] if n != 1))

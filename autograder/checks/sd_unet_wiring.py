"""Checks of Stable Diffusion's UNet: the path of x through it, with doubles of all members.

In the homework's own UNet (unet_wiring.py) only the decoder is checked, since the encoder is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from autograder.checks.evidence import close, is_rounded, is_tensor_like, shown
from autograder.checks.findings import Finding
from autograder.checks.messages import Asked, Tensor
from autograder.checks.unet_wiring import Wiring, joined, levels, same, same_condition

MIDDLE = ("mid_res_block1", "mid_attn", "mid_res_block2")


@dataclass(repr=False)  # pytest would spell out all its numbers
class WholeUNet(Wiring):
    """Follows x from conv_in through encoder, middle and decoder to final_conv.

    Args:
        x, context, time: the network's inputs.
    """

    x: np.ndarray = field(default_factory=lambda: np.empty(0))
    context: np.ndarray = field(default_factory=lambda: np.empty(0))
    time: np.ndarray = field(default_factory=lambda: np.empty(0))
    left: list[tuple[Asked, np.ndarray]] = field(default_factory=list)  # calls not yet followed
    error: Finding | None = None  # the error that ended the run, if there was one

    def check(self, structure: dict[str, Any], result: Any) -> None:
        """Compare the calls with a walk through the right network.

        Args:
            structure: for each block of "encoder" and "decoder", which of its three members exist.
            result: the network's output, or None if it raised an error.

        Raises:
            Finding
        """
        self.join_pieces()
        self.check_time()
        self.left = [(a, v) for a, v in self.calls if not a.name.startswith("time_")]
        h = self.step("conv_in", [self.x])
        states = [h]
        for i, members in enumerate(levels(structure, self.needed, "encoder")):
            h = self.block(f"encoder.{i}", members, [h])
            states.append(h)
            if members[2]:
                h = self.step(f"encoder.{i}.2", [h])
                states.append(h)
        h = self.step(MIDDLE[0], [h], "t_emb")
        h = self.step(MIDDLE[1], [h], "context")
        h = self.step(MIDDLE[2], [h], "t_emb")
        for i, members in enumerate(levels(structure, self.needed, "decoder")):
            h = self.block(f"decoder.{i}", members, [h, states.pop()])
            if members[2]:
                h = self.step(f"decoder.{i}.2", [h])
        h = self.step("final_conv", [h])
        if not isinstance(result, Tensor) or not same(result, h):
            raise Finding("The result is not the output of self.final_conv.", "sd_unet_final")

    def check_time(self) -> None:
        """Check that the time goes through time_pe and time_embd."""
        before = self.time
        for name in ("time_pe", "time_embd"):
            asked = next((asked for asked, _ in self.calls if asked.name == name), None)
            value = asked.bind("x").get("x") if asked else None
            if not is_tensor_like(value, before):
                raise Finding(f"{name} got {shown(value)}.", "sd_unet_t_emb")
            before = self.output(name)

    def block(self, name: str, members: list[bool], wanted: list[np.ndarray]) -> np.ndarray:
        """Check a residual block and its transformer, if it has one; returns their output."""
        h = self.step(f"{name}.0", wanted, "t_emb")
        return self.step(f"{name}.1", [h], "context") if members[1] else h

    def step(self, name: str, wanted: list[np.ndarray], condition: str = "") -> np.ndarray:
        """Check that this member is called next, with the right input; returns its output."""
        if not self.left or self.left[0][0].name != name:
            self.raise_out_of_turn(name, wanted)
        asked, value = self.left.pop(0)
        args = [*asked.args, *asked.kwargs.values()]
        found = args[0] if args else None
        if not isinstance(found, Tensor) or not same(found, joined(wanted)):
            names = ", ".join(self.name_of(array) for array in wanted)
            names = f"cat([{names}])" if len(wanted) > 1 else names
            reason = f"{name} got {self.explain(found)}; expected {names}."
            raise Finding(reason, self.input_hint(found, wanted))
        expected = {"t_emb": self.output("time_embd"), "context": self.context}.get(condition)
        found = args[1] if len(args) > 1 else None
        if expected is not None and not same_condition(found, expected):
            raise Finding(
                f"{name} got {shown(found)} as its second input; expected {condition}.",
                "loses_digits" if is_rounded(found, expected) else f"sd_unet_{condition}",
            )
        return value

    def raise_out_of_turn(self, name: str, wanted: list[np.ndarray]) -> NoReturn:
        """Raise a Finding with the likely reason why a member did not run in its turn."""
        if not self.left and self.error is not None:
            self.raise_error(name, wanted, self.error)
        following = self.left[0][0].name if self.left else ""
        instead = f"{following} ran instead" if following else "nothing ran after"
        later = name in [asked.name for asked, _ in self.left]
        entry, _, member = name.rpartition(".")
        if later or (member == "0" and following.startswith(f"{entry}.")):
            raise Finding(f"{name} did not run when it should ({instead}).", "sd_unet_turn")
        kinds = {"1": "sd_unet_no_transformer", "2": "sd_unet_no_resampling"}
        kinds |= dict.fromkeys(MIDDLE, "sd_unet_no_middle") | {"final_conv": "sd_unet_final"}
        raise Finding(f"{name} did not run ({instead}).", kinds.get(member, "sd_unet_no_block"))

    def raise_error(self, name: str, wanted: list[np.ndarray], error: Finding) -> NoReturn:
        """Raise the error that ended the run before this member's turn, with a hint that fits."""
        hint = error.hint
        if "pop from empty" in error.reason or "index out of range" in error.reason:
            hint = "sd_unet_first_state"
        elif "NoneType" in error.reason:
            hint = "unet_none_called"
        elif "Sizes of tensors must match" in error.reason:  # at a concatenation of x and a state
            at_first = name == "decoder.0.0"
            hint = (
                self.state_hint(wanted[1], at_first) if len(wanted) > 1 else "sd_unet_no_resampling"
            )
        raise Finding(f"{error.reason} This happened when it was the turn of {name}.", hint)

    def input_hint(self, value: Any, wanted: list[np.ndarray]) -> str:
        """The hint for a wrong input of a member."""
        if not isinstance(value, Tensor) or value.array is None:
            return "sd_unet_passed_on"
        if is_rounded(value, joined(wanted)):
            return "loses_digits"
        if len(wanted) == 1:
            return "sd_unet_passed_on"
        h, state = wanted
        if same(value, h):
            return "sd_unet_no_state"
        if same(value, joined([state, h])):
            return "sd_unet_cat_order"
        if h.shape == state.shape == value.array.shape and close(value.array, h + state, 1e-5):
            return "sd_unet_state_added"
        parts = self.parts(value.array)
        if parts and all(np.array_equal(part, h) for part in parts):
            return "sd_unet_no_state"
        if len(parts) == 2 and not np.array_equal(parts[0], h):
            return "sd_unet_passed_on"
        if len(parts) == 2:
            first = self.output("conv_in")
            return self.state_hint(state, first is not None and np.array_equal(parts[1], first))
        return "sd_unet_joined"

    def state_hint(self, state: np.ndarray, from_the_front: bool) -> str:
        """The hint for a wrong state in place of this one."""
        names = [asked.name for asked, value in self.calls if value is state]
        if from_the_front:
            return "sd_unet_states_front"
        if names and names[0].startswith("encoder") and names[0].endswith(".2"):
            return "sd_unet_downsampled_state"
        return "sd_unet_states"


def needed_blocks(
    dim_mults: Sequence[int], attn_levels: Sequence[int], res_blocks: int
) -> dict[str, list[list[bool]]]:
    """Which members each block of a network with these arguments must have."""
    last = len(dim_mults) - 1
    encoder = [
        [True, i in attn_levels, i < last and j == res_blocks - 1]
        for i in range(last + 1)
        for j in range(res_blocks)
    ]
    decoder = [
        [True, i in attn_levels, i > 0 and j == res_blocks]
        for i in range(last, -1, -1)
        for j in range(res_blocks + 1)
    ]
    return {"encoder": encoder, "decoder": decoder}

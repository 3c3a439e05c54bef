"""What outputs show: checks of type and shape, measured coefficients, tests for Gaussian noise.

Each statistical test here fails a right answer with a probability below 1e-8.
"""

import functools
from collections.abc import Iterable

import numpy as np

from autograder.checks.batches import in_whole
from autograder.checks.findings import Finding
from autograder.checks.messages import Answer, Asked, Tensor

ROUNDING = 1e-5  # relative; float32 rounds each step to 6e-8
SWITCHES = {
    "requires_grad": "the network's requires_grad",
    "grad_mode": "torch's recording of gradients",
    "default_dtype": "torch's default dtype",
}
ENDED = ("forged", "process_ended", "too_slow")  # hints for a process that did not answer at all
WHOLE = ("int64", "int32")  # dtypes of labels that an embedding takes
FLOATS = ("float32", "float64")  # where the assignment names none
FEW_DIGITS = 1e-2  # relative; largest rounding error of bfloat16
LARGEST_HALF = 65_504.0  # the largest float16
ROUNDED_MEAN = 6e-4  # relative error of a mean stored in float16
ROUNDED_LOSS = 4e-3  # relative error of a squared error in float16
ONE_SIDED = 0.9  # mean sign of a plane's errors; rounding goes either way
UNLIKELY = 6.0  # standard deviations
HUGE = 1e60  # its fourth power is still finite in float64
CLOSE_TO_ALIKE = 1e6  # condition number above which normal equations lose too many digits


def tensor_of(
    value: object, shape: Iterable[int], what: str, dtypes: tuple[str, ...] = ("float32",)
) -> np.ndarray:
    """The values of a tensor, as float64, if it has this shape and one of these dtypes.

    Raises:
        Finding: it differs, or is not a tensor; the reason says how.
    """
    shape = list(shape)
    if not isinstance(value, Tensor):
        name = value.get("type", "dict") if isinstance(value, dict) else type(value).__name__
        raise Finding(f"{what} is a {name}, not a tensor.", "returns_no_tensor")
    if value.dtype.startswith("numpy"):
        raise Finding(f"{what} is a NumPy array, not a tensor.", "returns_no_tensor")
    if value.shape != shape:
        raise Finding(f"{what} has the shape {value.shape}, expected {shape}.", "wrong_shape")
    if value.array is None:
        raise Finding(f"{what} is on the device {value.device}, not on the CPU.", "wrong_device")
    if value.dtype not in dtypes:
        expected = " or ".join(dtypes)
        raise Finding(f"{what} has the dtype {value.dtype}, expected {expected}.", "wrong_dtype")
    bad = np.count_nonzero(~np.isfinite(value.array))
    if bad:
        raise Finding(f"{what} holds {bad} numbers that are NaN or infinite.", "not_finite")
    return value.array.astype(np.float64)


def check_untouched(answer: Answer, names: list[str]) -> None:
    """Raise a Finding if the call changed its inputs, the schedule, modes or torch's settings."""
    known = dict(enumerate(names))
    changed = [known.get(i, i) if isinstance(i, int) else i for i in answer.changed]
    switched = [SWITCHES[name] for name in changed if name in SWITCHES]
    if switched:
        raise Finding(f"The call did not restore {' and '.join(switched)}.", "left_switched")
    if changed:
        listed = ", ".join(str(name)[:60] for name in changed[:5])
        raise Finding(f"The call changed what it was given: {listed}.", "modifies_input")
    if answer.mode_changed:
        raise Finding(
            "The call left the network in another mode (training or evaluation) than it found it.",
            "left_in_eval",
        )


def check_rounding(rest: np.ndarray, what: str, hint: str) -> None:
    """Raise a Finding unless a residual is explained by float32's rounding.

    Args:
        rest: the residual, relative to each number's size.
        what: its name in the sentence.
        hint: the hint for anything that lower precision does not explain.
    """
    share = np.abs(rest)
    if off(share, 0, ROUNDING).any():
        # rounding goes either way: a plane that is moved as a whole is not rounded
        moved = np.abs(np.sign(rest).mean(axis=(2, 3))).max() > ONE_SIDED
        low = np.quantile(share, 0.9) < 1e-2 and not moved
        reason = f"{what} is off by up to {share.max():.2g} of its size."
        raise Finding(reason, "loses_digits" if low else hint)


def is_tensor_like(value: object, expected: np.ndarray, tolerance: float = 1e-5) -> bool:
    """Whether a value is a tensor with these values and exactly this shape, in any dtype."""
    if not isinstance(value, Tensor) or value.array is None:
        return False
    if value.shape != list(expected.shape):
        return False
    if value.array.dtype == expected.dtype and value.array.tobytes() == expected.tobytes():
        return True  # a shortcut: a long chain asks thousands of times
    return close(value.array, expected, tolerance)


def is_rounded(value: object, expected: np.ndarray | None) -> bool:
    """Whether a value is a tensor of these numbers with fewer digits, such as half precision.

    Numbers that float16 cannot hold are ignored.
    """
    if expected is None or not isinstance(value, Tensor) or value.array is None:
        return False
    if value.shape != list(expected.shape):
        return False
    held = np.abs(expected) < LARGEST_HALF
    near = bool(held.any()) and close(value.array[held], expected[held], FEW_DIGITS)
    return near and has_few_digits(value.array[value.array != expected])  # part may be exact


def has_few_digits(array: np.ndarray) -> bool:
    """Whether all numbers are exact in float16, or all in bfloat16, whatever the dtype."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.ascontiguousarray(array, np.float32)
        half = single.astype(np.float16).astype(np.float32)
    return np.array_equal(half, single) or not (single.view(np.uint32) & 0xFFFF).any()


def rounded_share(errors: np.ndarray) -> float:
    """The largest relative change of a mean of squared errors by lower precision.

    Each error is rounded by itself, so most of this averages out unless a few dominate the mean.
    """
    squares = errors**2
    each = 3 * ROUNDED_LOSS * float(np.sqrt((squares**2).sum()) / max(squares.sum(), 1e-300))
    return each + ROUNDED_MEAN


@functools.cache  # NumPy takes long to name a dtype
def as_precise(dtype: np.dtype | str) -> tuple[str, ...]:
    """The dtypes allowed for a result if the inputs have this one and the assignment names none.

    Double precision may be reduced to single. A cut to half precision is found by other checks,
    from the numbers.
    """
    return ("float64", "float32") if str(dtype) == "float64" else (str(dtype),)


def close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Whether numbers are equal within a tolerance, absolute plus relative; NaN equals nothing."""
    expected = np.asarray(expected, np.result_type(expected, 1.0))  # bools cannot be subtracted
    return not np.any(off(found, expected, tolerance + tolerance * np.abs(expected)))


def off(found: np.ndarray, expected: np.ndarray, tolerance: np.ndarray | float) -> np.ndarray:
    """Where numbers differ by more than the tolerance, or are NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        return ~(np.abs(found - expected) <= tolerance)


def whole_number(value: object) -> int | None:
    """A number, or the first entry of a tensor, as an int; None for bools and everything else."""
    if isinstance(value, Tensor) and value.array is not None and value.array.size:
        value = value.array.reshape(-1)[0].item()
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def number_of(value: object) -> float:
    """A number, or a tensor with one element, as a float; 0 for None, NaN for anything else."""
    if isinstance(value, Tensor) and value.array is not None and value.array.size == 1:
        value = value.array.item()
    if value is None:
        return 0.0
    return float(value) if isinstance(value, int | float) else float("nan")


def weights(output: np.ndarray, *inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weights of each input in an output, by least squares, for each sample of a batch.

    Args:
        output, inputs: [B, ...] each.

    Returns:
        The weights, [B, number of inputs], and the residual, shaped like the output; both NaN if
        numbers are not finite or too large.
    """
    batch = len(output)
    columns = np.stack([i.reshape(batch, -1) for i in inputs], axis=1).astype(np.float64)
    flat = output.reshape(batch, -1)
    if not np.abs(flat).max(initial=0.0) < HUGE or not np.abs(columns).max(initial=0.0) < HUGE:
        return np.full((batch, len(inputs)), np.nan), np.full(output.shape, np.nan)
    products = columns @ columns.transpose(0, 2, 1)
    if (np.linalg.cond(products) < CLOSE_TO_ALIKE).all():
        found = np.linalg.solve(products, columns @ flat[..., None])[..., 0]
    else:
        pairs = zip(columns, flat, strict=True)
        found = np.stack([np.linalg.lstsq(c.T, f, rcond=None)[0] for c, f in pairs])
    rest = flat - np.einsum("bin,bi->bn", columns, found)
    return found, rest.reshape(output.shape)


def suspect(
    found: dict[str, np.ndarray],
    suspects: dict[str, dict],
    rounding: dict,
    relative: float | dict[str, float] = 1e-4,
) -> str:
    """The hint of the known mistake that explains what was found; "" for none or several.

    The tolerance is relative to each mistake's own values. Relative to the right value, it would
    cover all mistakes with far smaller values, such as a variance, or no noise at all.

    Args:
        found: measured values.
        suspects: values of each mistake, by hint id with an optional suffix after a colon.
        rounding: absolute tolerances of the values, by the same keys.
        relative: additional tolerance, relative to the mistake's values; one for all, or by key.
    """
    hints = fitting_hints(found, suspects, rounding, relative)
    return hints.pop() if len(hints) == 1 else ""


def fitting_hints(
    found: dict[str, np.ndarray],
    suspects: dict[str, dict],
    rounding: dict,
    relative: float | dict[str, float] = 1e-4,
) -> set[str]:
    """The hints of all known mistakes that explain what was found; see `suspect`."""
    share = relative if isinstance(relative, dict) else dict.fromkeys(found, relative)
    return {
        hint.split(":")[0]
        for hint, values in suspects.items()
        if set(values) == set(found)
        and all(
            np.all(np.abs(found[key] - value) <= rounding[key] + share[key] * np.abs(value))
            for key, value in values.items()
        )
    }


def noise_fault(noise: np.ndarray) -> tuple[str, str] | None:
    """Why numbers are not draws from N(0, 1), as (reason, hint); None if they may be.

    Args:
        noise: [B, C, H, W], standardised.
    """
    n = noise.size
    if not np.abs(noise).max(initial=0.0) < HUGE:
        return "some of its numbers are not finite, or far too large", "noise_not_standard"
    mean = float(noise.mean())
    centred = noise - mean
    squares = centred**2
    deviation = float(np.sqrt(squares.mean()))
    if deviation < 0.02:  # not exactly 0, because of rounding
        return "there is none", "noise_missing"
    for axis, along in enumerate(("samples", "channels", "rows", "columns")):
        if noise.shape[axis] > 1:
            moved = np.moveaxis(centred, axis, 0)
            a, b = moved[:-1], moved[1:]
            correlation = np.einsum("abcd,abcd->", a, b) / a.size / deviation**2
            if abs(correlation) * np.sqrt(a.size) > UNLIKELY and correlation > 0.9:
                return f"it is the same for all {along}", "noise_shared"
    if abs(mean) * np.sqrt(n) > UNLIKELY * max(1.0, deviation):
        uniform = abs(mean - 0.5) < 0.05
        hint = "noise_uniform" if uniform else "noise_not_standard"
        return f"its mean is {mean:.3f} and not 0", hint
    if np.abs(centred).max() < 2 * deviation and n > 400:  # 5% of a Gaussian are beyond
        return "it is not Gaussian (nothing is beyond two standard deviations)", "noise_uniform"
    kurtosis = float((squares**2).mean() / deviation**4)
    # Of few numbers the largest decides: one at 7 deviations (1e-9 among 500) adds 2500 / n.
    if abs(kurtosis - 3) > max(UNLIKELY * np.sqrt(96 / n), 2500 / n) and n > 500:
        return f"it is not Gaussian (its kurtosis is {kurtosis:.2f} and not 3)", "noise_uniform"
    if abs(deviation**2 - 1) * np.sqrt(n / 2) > UNLIKELY:
        return f"its standard deviation is {deviation:.3f} and not 1", "noise_not_standard"
    return None


def network_calls(asked: list[Asked], batch: int) -> list[dict]:
    """The network's calls, one per whole batch, as dictionaries of the arguments x, label, time.

    Raises:
        Finding: the network was never called.
    """
    calls = [a.bind("x", "label", "time") for a in asked if a.name == "model"]
    if not calls:
        raise Finding("The network self.model was never called.", "network_not_called")
    return in_whole(calls, batch)


def check_network_kinds(call: dict, dtype: np.dtype) -> None:
    """Raise a Finding unless the network got x in its own dtype, and integer labels."""
    x, label = call.get("x"), call.get("label")
    if isinstance(x, Tensor) and x.dtype not in as_precise(dtype):
        raise Finding(f"The network got an x in {x.dtype}; expected {dtype}.", "network_dtype")
    if isinstance(label, Tensor) and label.dtype not in WHOLE:
        raise Finding(f"The network got labels in {label.dtype}.", "network_dtype")


def check_network_call(call: dict, x: np.ndarray | None, label: np.ndarray, t: np.ndarray) -> None:
    """Raise a Finding unless the network got this x (None: any), these labels and times."""
    check_network_kinds(call, np.dtype(np.float32) if x is None else x.dtype)
    if x is not None and not is_tensor_like(call.get("x"), x) and is_rounded(call.get("x"), x):
        raise Finding("The network got x in lower precision than it has.", "loses_digits")
    wrong = [
        name
        for name, expected in (("x", x), ("label", label), ("time", t))
        if expected is not None and not is_tensor_like(call.get(name), expected)
    ]
    if not wrong:
        return
    if is_tensor_like(call.get("label"), t) and is_tensor_like(call.get("time"), label):
        raise Finding("The network got t as its label and the label as its t.", "network_swapped")
    listed = " and ".join(wrong)
    hint = {"x": "network_wrong_x", "label": "network_wrong_label"}.get(wrong[0])
    raise Finding(
        f"self.model(x, label, t) was called with the wrong {listed}: "
        + "; ".join(f"{name} was {shown(call.get(name))}" for name in wrong)
        + ".",
        hint or "network_wrong_time",
    )


def shown(value: object) -> str:
    """A value in words: a few numbers, or its type and shape."""
    if isinstance(value, Tensor):
        if value.array is not None and value.array.size <= 8:
            return f"a tensor of {value.array.tolist()}"
        return f"a tensor of shape {value.shape}"
    if isinstance(value, dict):
        return f"a {value.get('type', 'dict')}"
    return "missing" if value is None else repr(value)[:60]

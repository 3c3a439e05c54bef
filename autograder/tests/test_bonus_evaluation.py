"""FID (Heusel et al. 2017, eq. 6) and the nearest-neighbour ratio, on small made-up features."""

from typing import Any

import numpy as np
import pytest
from autograder.cases import Case
from autograder.evidence import check_untouched, suspect, tensor_of
from autograder.student import Finding, Student, Tensor

PART = "bonus_evaluation"
FLOATS = ("float64", "float32")


@pytest.mark.group("fid")
def test_statistics(student: Student, case: Case) -> None:
    """statistics returns the mean and the unbiased covariance of the features."""
    features = case.inputs["features"]
    answer = student.function("metrics.fid", "statistics", features)
    value = answer.value
    if not isinstance(value, list) or len(value) != 2:
        raise Finding("statistics must return two tensors, mean and covariance.", "fid_two_values")
    mean = tensor_of(value[0], features.shape[1:], "The mean", FLOATS)
    cov = tensor_of(value[1], features.shape[1:] * 2, "The covariance", FLOATS)
    check_untouched(answer, ["features"])
    expected = case.expected
    if not np.allclose(mean, expected["mean"], rtol=1e-5):
        raise Finding(
            f"The mean of the first feature is {mean[0]:.4f}; expected {expected['mean'][0]:.4f}.",
            "fid_mean",
        )
    scale = np.abs(expected["cov"]).max()
    if not np.allclose(cov, expected["cov"], atol=1e-4 * scale):
        hint = suspect({"cov": cov}, case.suspects, {"cov": 1e-3}, relative=1e-3)
        raise Finding(
            f"The variance of the first feature is {cov[0, 0]:.4f}, of {len(features)} images; "
            f"expected {expected['cov'][0, 0]:.4f}.",
            hint or "fid_covariance",
        )


@pytest.mark.group("fid")
def test_distance(student: Student, case: Case) -> None:
    """frechet_distance is that of eq. 6, also where there are fewer images than features."""
    gaussians = [case.inputs[name] for name in ("mean1", "cov1", "mean2", "cov2")]
    found = number(student.function("metrics.fid", "frechet_distance", *gaussians).value)
    expected = float(case.expected["distance"])
    if abs(found - expected) <= 1e-3 * max(1.0, expected):
        return
    measured = {"distance": np.asarray(found)}
    hint = suspect(measured, case.suspects, {"distance": 1e-3}, relative=1e-3)
    raise Finding(
        f"The distance of two Gaussians is {found:.4f}; expected {expected:.4f}.",
        hint or "fid_distance",
    )


@pytest.mark.group("fid")
def test_equal_gaussians(student: Student, case: Case) -> None:
    """The distance of a Gaussian from itself is 0, whatever rounding does."""
    mean, cov = case.inputs["mean1"], case.inputs["cov1"]
    found = number(student.function("metrics.fid", "frechet_distance", mean, cov, mean, cov).value)
    if abs(found) > 1e-4 * np.trace(cov):
        raise Finding(f"A Gaussian is {found:.3g} away from itself, not 0.", "fid_not_zero")


@pytest.mark.group("memorization")
def test_ratio(student: Student, case: Case) -> None:
    """Each sample's ratio is right, and 0 for an exact copy of a training image."""
    samples, train = case.inputs["samples"], case.inputs["train"]
    answer = student.function("metrics.memorization", "nearest_neighbour_ratio", samples, train)
    ratio = tensor_of(answer.value, (len(samples),), "The ratios", FLOATS)
    check_untouched(answer, ["samples", "train"])
    expected = case.expected["ratio"]
    if np.allclose(ratio, expected, atol=1e-3):
        return
    worst = int(np.abs(ratio - expected).argmax())
    # The exact copy's own value depends on how 0 / 0 was avoided.
    rest = np.arange(len(expected)) != expected.argmin()
    wrong = {
        hint: {"ratio": values["ratio"][rest]}
        for hint, values in case.suspects.items()
        if "ratio" in values
    }
    raise Finding(
        f"The ratio of a sample is {ratio[worst]:.4f}; expected {expected[worst]:.4f}.",
        suspect({"ratio": ratio[rest]}, wrong, {"ratio": 1e-3}) or "nn_ratio",
    )


def number(value: Any) -> float:
    """A result that is one real number, as a float or in a tensor."""
    kind = value.get("type", "") if isinstance(value, dict) else ""
    if isinstance(value, Tensor) and value.array is not None and value.array.size == 1:
        kind, value = value.dtype, float(value.array.reshape(-1)[0].real)
    if "complex" in str(kind):
        raise Finding("The distance is a complex number.", "fid_complex")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Finding("frechet_distance must return one number.", "fid_no_number")
    if not np.isfinite(value):
        raise Finding(f"The distance is {value}.", "fid_not_finite")
    return float(value)

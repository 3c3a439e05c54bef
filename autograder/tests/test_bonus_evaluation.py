"""FID (Heusel et al. 2017, eq. 6) and the nearest-neighbour ratio, on small made-up features."""

from typing import Any

import numpy as np
import pytest
from autograder.checks.batches import check_device
from autograder.checks.cases import Case
from autograder.checks.evidence import check_untouched, close, off, suspect, tensor_of
from autograder.checks.findings import Finding
from autograder.checks.messages import Tensor
from autograder.checks.student import Student

PART = "bonus_evaluation"
FLOATS = ("float64", "float32")
FAR = 2.0**19  # where float32's spacing is 1/16
ROWS = 2101  # of features
MANY, TIMES = 65, 30  # samples in the larger batch; as many images more for each training image


@pytest.mark.group("fid")
def test_statistics(student: Student, case: Case) -> None:
    """statistics returns the mean and the unbiased covariance of the features."""
    features = case.inputs["features"]
    mean, cov = statistics(student, features)
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
    check_device(lambda: statistics(student, features, away=True))


@pytest.mark.group("fid")
def test_statistics_in_other_precisions(student: Student, case: Case) -> None:
    """Features in half precision, and in double precision far from 0, lose no digits."""
    far = case.inputs["features"].astype(np.float64) + FAR
    few = case.inputs["few_digits"].astype(np.float16)
    expected = case.expected
    for features, mean, cov in (
        (far, expected["mean"] + FAR, expected["cov"]),
        (few, expected["mean_of_few"], expected["cov_of_few"]),
    ):
        found_mean, found_cov = statistics(student, features)
        scale = np.abs(cov).max()
        clear = 1e-6 * np.abs(mean).max() + 1e-6
        if off(found_mean, mean, clear).any() or off(found_cov, cov, 1e-4 * scale).any():
            text = f"Of features in {features.dtype} near {mean[0]:.0f} the mean or the covariance"
            raise Finding(f"{text} is off.", "loses_digits")


@pytest.mark.group("fid")
@pytest.mark.configs("many_images")
def test_statistics_of_many(student: Student, case: Case, random: np.random.Generator) -> None:
    """Features of many images, the later ones larger, are all counted, and alike."""
    width = case.inputs["features"].shape[1]
    features = random.standard_normal((ROWS, width)) + np.linspace(0, 3, ROWS)[:, None]
    features = features.astype(np.float32)
    features[:500] = features[900:1400]  # images that are there twice count twice
    precise = features.astype(np.float64)
    mean, cov = statistics(student, features)
    if off(mean, precise.mean(axis=0), 1e-4).any() or off(cov, np.cov(precise.T), 3e-4).any():
        text = f"Of {ROWS} images' features the mean or the covariance is wrong."
        raise Finding(text, "fid_many")


@pytest.mark.group("fid")
def test_distance(student: Student, case: Case) -> None:
    """frechet_distance follows eq. 6, also with fewer images than features."""
    gaussians = [case.inputs[name] for name in ("mean1", "cov1", "mean2", "cov2")]
    found = distance(student, gaussians)
    expected = float(case.expected["distance"])
    if abs(found - expected) > 1e-3 * max(1.0, expected):
        measured = {"distance": np.asarray(found)}
        hint = suspect(measured, case.suspects, {"distance": 1e-3}, relative=1e-3)
        raise Finding(
            f"The distance of two Gaussians is {found:.4f}; expected {expected:.4f}.",
            hint or "fid_distance",
        )
    check_device(lambda: distance(student, gaussians, away=True))


@pytest.mark.group("fid")
def test_distance_of_other_gaussians(student: Student, case: Case) -> None:
    """The distance is symmetric, independent of the unit, and right for a covariance of 0."""
    mean1, cov1, mean2, cov2 = (case.inputs[name] for name in ("mean1", "cov1", "mean2", "cov2"))
    expected = float(case.expected["distance"])
    equal = expected - float(np.sum((mean1 - mean2) ** 2))
    tried = [("swapped", [mean2, cov2, mean1, cov1], expected)]
    tried.append(("with one mean", [mean1, cov1, mean1, cov2], equal))
    for unit in (1e-3, 1e3):
        scaled = [unit * mean1, unit**2 * cov1, unit * mean2, unit**2 * cov2]
        tried.append((f"of size {unit:g}", scaled, unit**2 * expected))
    to_point = float(case.expected["distance_from_a_point"])
    tried.append(("one of them a point", [mean1, cov1, mean2, np.zeros_like(cov2)], to_point))
    for what, gaussians, wanted in tried:
        found = distance(student, gaussians)
        if off(np.asarray(found), np.asarray(wanted), 1e-3 * wanted).any():
            text = f"The distance of two Gaussians, {what}, is {found:.6g}; expected {wanted:.6g}."
            raise Finding(text, "fid_distance")


@pytest.mark.group("fid")
def test_equal_gaussians(student: Student, case: Case) -> None:
    """The distance of a Gaussian from itself is 0, up to rounding."""
    mean, cov = case.inputs["mean1"], case.inputs["cov1"]
    found = distance(student, [mean, cov, mean, cov])
    if abs(found) > 1e-4 * np.trace(cov):
        raise Finding(f"A Gaussian is {found:.3g} away from itself, not 0.", "fid_not_zero")


@pytest.mark.group("memorization")
def test_ratio(student: Student, case: Case) -> None:
    """Each sample's ratio is right, and 0 for an exact copy of a training image."""
    samples, train = case.inputs["samples"], case.inputs["train"]
    ratio, expected = ratios(student, samples, train), case.expected["ratio"]
    if not np.allclose(ratio, expected, atol=1e-3):
        worst = int(np.abs(ratio - expected).argmax())
        # The exact copy's own value depends on how the code avoids 0 / 0.
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
    check_device(lambda: ratios(student, samples, train, away=True))


@pytest.mark.group("memorization")
def test_ratio_of_other_data(student: Student, case: Case) -> None:
    """Ratios are independent of the unit, and right for features, copies and very few images."""
    samples, train = case.inputs["samples"], case.inputs["train"]
    expected, two = case.expected["ratio"], case.inputs["nearest_two"]
    rows = [values.reshape(len(values), -1) for values in (samples, train)]
    for unit, dtype in ((1e5, "float32"), (1e-4, "float64")):
        scaled = [(unit * values).astype(dtype) for values in rows]
        if not close(ratios(student, *scaled), expected, 1e-3):
            text = f"With features of size {unit:g} in {dtype} the ratios differ."
            raise Finding(text, "nn_size")
    copies = ratios(student, train[:3], train)
    if not close(copies, np.zeros(3), 1e-3):
        text = f"The ratio of a training image itself is {copies[0]:.4f}, not 0."
        raise Finding(text, "nn_wrong_neighbour")
    for n in (0, 5):
        found = ratios(student, samples[n : n + 1], train[two[n]])
        if not close(found, expected[n : n + 1], 1e-3):
            text = f"The ratio of one sample to two images is {found[0]:.4f}; "
            raise Finding(f"{text}expected {expected[n]:.4f}.", "nn_ratio")


@pytest.mark.group("memorization")
def test_ratio_of_many(student: Student, case: Case) -> None:
    """More samples, and many images far away between the training images, change no ratio."""
    samples, train = case.inputs["samples"], case.inputs["train"]
    order = np.arange(MANY) % len(samples)
    half = len(train) // 2
    much = np.concatenate([train[:half], *[10 * train] * TIMES, train[half:]])
    if not close(ratios(student, samples[order], much), case.expected["ratio"][order], 1e-3):
        text = f"With {MANY} samples and {len(much)} training images the ratios are wrong."
        raise Finding(text, "nn_many")


@pytest.mark.group("memorization")
def test_images_held_twice(student: Student, case: Case) -> None:
    """If an image is in the data twice, its two copies are the nearest neighbours."""
    samples, train = case.inputs["samples"], case.inputs["train_twice"]
    found, expected = ratios(student, samples, train), case.expected["ratio_twice"]
    copy = expected.argmin()  # 0 / 0, which depends on rounding
    fair = np.where(np.arange(len(expected)) == copy, found.clip(0, 1), expected)
    if not close(found, fair, 1e-3):
        worst = int(np.abs(found - fair).argmax())
        text = f"Where the data holds an image twice, a ratio is {found[worst]:.4f}"
        raise Finding(f"{text}; expected {fair[worst]:.4f}.", "nn_duplicates")


def statistics(
    student: Student, features: np.ndarray, away: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The mean and covariance from the submission's statistics."""
    answer = student.function("metrics.fid", "statistics", features, away=away)
    value = answer.value
    if not isinstance(value, list) or len(value) != 2:
        raise Finding("statistics must return two tensors, mean and covariance.", "fid_two_values")
    mean = tensor_of(value[0], features.shape[1:], "The mean", FLOATS)
    cov = tensor_of(value[1], features.shape[1:] * 2, "The covariance", FLOATS)
    check_untouched(answer, ["features"])
    return mean, cov


def distance(student: Student, gaussians: list[np.ndarray], away: bool = False) -> float:
    """The submission's frechet_distance."""
    answer = student.function("metrics.fid", "frechet_distance", *gaussians, away=away)
    found = number(answer.value)
    check_untouched(answer, ["mean1", "cov1", "mean2", "cov2"])
    return found


def ratios(
    student: Student, samples: np.ndarray, train: np.ndarray, away: bool = False
) -> np.ndarray:
    """The submission's nearest_neighbour_ratio."""
    module, name = "metrics.memorization", "nearest_neighbour_ratio"
    answer = student.function(module, name, samples, train, away=away)
    found = tensor_of(answer.value, (len(samples),), "The ratios", FLOATS)
    check_untouched(answer, ["samples", "train"])
    return found


def number(value: Any) -> float:
    """A result as a float: one real number, or a tensor with one."""
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

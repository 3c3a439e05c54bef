"""The hint a mistake gets is the one for that mistake, whatever else is small or near 1."""

import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import yaml
from autograder import hints
from autograder.checks.cases import Case, load_goldens
from autograder.checks.evidence import suspect
from autograder.checks.findings import Finding
from autograder.checks.messages import Asked, Tensor
from autograder.hidden.oracles import make_cases
from autograder.tests import (
    test_bonus_edm,
    test_bonus_sampling,
    test_bonus_scaling,
    test_p_sample,
    test_q_sample,
)

from helpers.files import ROOT

RIGHT = "passes"
Suspects = dict[str, dict[str, np.ndarray]]


def cases_of(part: str) -> list[Case]:
    """The public cases of a part, which students see, and fresh ones."""
    return [c for c in (*load_goldens(), *make_cases(6)) if c.part == part]


def with_keys(case: Case, keys: set[str]) -> Suspects:
    """The known mistakes in these values."""
    return {hint: values for hint, values in case.suspects.items() if set(values) == keys}


def hint_of(check: Callable[[], None]) -> str:
    """The hint of the finding that a check raises, or that it passes."""
    try:
        check()
    except Finding as finding:
        return finding.hint
    return RIGHT


def test_a_mistake_is_compared_within_a_tolerance_of_its_own_size():
    """A small value is not taken for nothing at all because the right one is large."""
    suspects = {"variance": {"sigma": np.array([6e-5, 1e-2])}, "none": {"sigma": np.zeros(2)}}
    for hint, values in suspects.items():
        assert suspect(values, suspects, {"sigma": 1e-6}, relative=0.08) == hint
    between = {"sigma": np.array([3e-5, 5e-3])}
    assert suspect(between, suspects, {"sigma": 1e-6}, relative=0.08) == ""


def sigmas(case: Case, wanted: np.ndarray, size: int) -> np.ndarray:
    """Standard deviations as measured on so many numbers, rounding included."""
    random = np.random.default_rng(3)
    return np.hypot(wanted, 3e-7) * (1 + random.standard_normal(len(wanted)) / np.sqrt(2 * size))


def sigma_hints(case: Case) -> Iterator[tuple[str, str]]:
    """For each mistake in the noise's size: its name, and the hint that it gets."""
    steps, size = test_p_sample.noisy_steps(case), case.inputs["x0"].size
    rounding = np.full(len(steps), 2e-6)
    for name, values in with_keys(case, {"step_sigma"}).items():
        wanted = values["step_sigma"][steps]
        found = sigmas(case, wanted, size)
        expected = case.expected["step_sigma"][steps]
        if test_p_sample.fitting(found, expected, rounding, size).all(axis=0).any():
            yield name, RIGHT
            continue
        hint = test_p_sample.sigma_hint(case, found, rounding, size)
        if not hint:
            size_of_all = test_p_sample.LARGE
            closer = sigmas(case, wanted, size_of_all)
            hint = test_p_sample.sigma_hint(case, closer, rounding, size_of_all)
        yield name, hint


def test_the_noise_of_a_step_is_named_for_what_scales_it():
    """Each mistake in sigma gets its hint, on one schedule at least, and nowhere another's."""
    told, names = set(), set()
    for case in (case for case in load_goldens() if case.part == "p_sample"):
        for name, hint in sigma_hints(case):
            assert hint in (name.split(":")[0], "", RIGHT), f"{case.config}: {name} got {hint}"
            names.add(name)
            told |= {name} if hint not in ("", RIGHT) else set()
    assert told == names


@pytest.mark.parametrize("config", ["mnist", "cifar10", "afhq", "odd", "cosine"])
def test_a_variance_is_never_taken_for_no_noise(config, monkeypatch):
    """The commonest mistake of all, on every schedule, by the test that students run."""
    (case,) = [c for c in load_goldens() if (c.part, c.config) == ("p_sample", config)]
    random = np.random.default_rng(0)
    hints_of = ("p_sample_variance_for_sigma", "p_sample_beta_for_sigma", "p_sample_no_noise")
    for name in hints_of:
        sigma = case.suspects[name]["step_sigma"]

        def step(student, case, k, training=True, scale=1.0, size=4, sigma=sigma):
            x, eps = test_p_sample.inputs_of(case, k, scale, size)
            mean = case.expected["step_x"][k] * x + case.expected["step_eps"][k] * eps
            noise = sigma[k] * random.standard_normal(x.shape)
            return (mean + noise).astype(np.float32).astype(np.float64)

        monkeypatch.setattr(test_p_sample, "step", step)
        assert hint_of(lambda: test_p_sample.test_noise(None, case)) == name


def test_the_mean_of_a_step_is_named_for_what_weighs_it():
    """Each mistake in the mean gets its hint on every schedule, beside the step's own noise."""
    for case in (c for c in cases_of("p_sample") if c.suspects):
        steps = test_p_sample.noisy_steps(case)
        size = np.sqrt((case.inputs["x1"] ** 2).sum())
        errors = 8 * case.expected["step_sigma"][steps, 0] / size + 1e-5
        for name, values in with_keys(case, {"step_x", "step_eps"}).items():
            found = np.stack([values["step_x"][steps], values["step_eps"][steps]], axis=-1)
            for sign in (1, -1):
                off = found + sign * errors[:, None] / 8
                hint = test_p_sample.mean_hint(case, steps, off, errors)
                assert hint == name.split(":")[0], f"{case.config}: {name}"


def test_the_weights_of_q_sample_are_named():
    """Each suspected pair of weights of q_sample gets its own hint."""
    for case in cases_of("q_sample"):
        for name, values in case.suspects.items():
            hint = hint_of(lambda c=case, v=values: test_q_sample.check_rates(c, v, c.inputs["t"]))
            assert hint in (name.split(":")[0], RIGHT), f"{case.config}: {name} got {hint}"


def numbers_of(case: Case) -> Iterator[tuple[str, Callable[[], None]]]:
    """For each mistake of a bonus part that is a matter of numbers: its name, and the check."""
    if case.part == "bonus_sampling":
        for name, values in with_keys(case, set(test_bonus_sampling.WEIGHTS)).items():
            for e in range(len(case.inputs["etas"])):
                found = {key: value[e] for key, value in values.items()}
                yield name, lambda f=found, e=e: test_bonus_sampling.check_weights(case, f, e)
    elif case.part == "bonus_scaling":
        for name, values in with_keys(case, set(test_bonus_scaling.SIDES)).items():
            yield name, lambda v=values: test_bonus_scaling.check_guidance(case, v)
    else:
        for name, values in case.suspects.items():
            if set(values) != {"loss"}:
                yield name, lambda v=values: test_bonus_edm.check_numbers(case, v)


@pytest.mark.parametrize("part", ["bonus_sampling", "bonus_edm", "bonus_scaling"])
def test_mistakes_of_the_bonus_are_named(part):
    """Each gets its hint, on one case at least; else a general one, never another's."""
    told, names = set(), set()
    general = {*hints.GENERAL, *test_bonus_edm.FALLBACK.values()}
    for case in cases_of(part):
        for name, check in numbers_of(case):
            hint, own = hint_of(check), name.split(":")[0]
            assert hint in (own, RIGHT) or hint in general, f"{case.config}: {name} got {hint}"
            names.add(name)
            told |= {name} if hint == own else set()
    assert told == names


def test_a_network_asked_twice_at_each_time_is_asked_too_often():
    """Not at the wrong times: a second call per step is slow, and nothing else."""
    case = cases_of("bonus_sampling")[0]
    walk = test_bonus_sampling.Walk(case, "plain", np.random.default_rng(0))
    times, batch = walk.times, len(walk.start)

    def hint(asked_at: list[int]) -> str:
        t = [Tensor("int64", "cpu", [batch], np.full(batch, time)) for time in asked_at]
        return hint_of(
            lambda: walk.check_times([Asked("eps_model", [None, each], {}) for each in t])
        )

    assert hint(times) == RIGHT
    assert hint([time for time in times for _ in range(2)]) == "ddim_loop_calls"
    assert hint([times[0], times[0], times[1]]) == "ddim_loop_calls"
    assert hint(times[::-1]) == hint([times[0], times[2]]) == "ddim_loop_times"


def test_general_hints_have_texts():
    """Every general hint that code names is in hints.yaml."""
    assert set(hints.hints()) >= hints.GENERAL


def test_hints_are_short_and_plain():
    """A hint is read in a terminal: a few plain sentences, without words that make one stop."""
    with hints.HINTS.open(encoding="utf-8") as file:
        texts = yaml.safe_load(file)
    stilted = re.compile(r"\b(stands?|anew|lies?|mind|as it stands|by right|one line a)\b", re.I)
    for name, text in texts.items():
        assert 2 <= len(text.split()) <= 60, name
        assert text.strip()[-1] in ".?", name
        assert not stilted.search(text), f"{name}: {stilted.search(text)}"


def test_every_hint_is_used():
    """No hint is left over from a mistake that no test names any more."""
    sources = [*(ROOT / "autograder").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    made = ("sd_unet_", "sd_names_", "sd_walk_")  # put together from parts
    unused = {name for name in hints.hints() if name not in text and not name.startswith(made)}
    families = ("loop_", "loss_", "fm_")  # of checks that both kinds of model share
    shared = {name for name in unused if name.startswith(families)}
    ends = {name: name.partition("_")[2] for name in shared}
    unused -= {name for name, end in ends.items() if re.search(rf"""["'}}]_?{end}["']""", text)}
    assert not unused

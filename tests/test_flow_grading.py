"""What the judge of flow matching expects: against closed forms and scipy."""

import itertools
import math
import types

import numpy as np
import pytest
import torch
from autograder.checks.cases import LOGIT_NORMAL
from autograder.checks.evidence import suspect
from autograder.checks.findings import Finding
from autograder.checks.flow import APART, STEP, distance, order_hint, time_hint
from autograder.checks.messages import Answer
from autograder.checks.sampling_loop import Chain, check_pictures
from autograder.checks.student import RunState, Student
from autograder.hidden.flow import GRID, LOSSES, MIX, WALKS, make_flow_cases
from autograder.hints import hints
from autograder.worker.names import lacks_time, method_of
from scipy import stats

from libs.fm import FM


def find(part: str, config: str):
    """A fresh case of a part."""
    (case,) = [c for c in make_flow_cases(5) if (c.part, c.config) == (part, config)]
    return case


@pytest.mark.parametrize("config", ["mnist", "odd", "odd_latent"])
def test_the_expected_loss_is_that_of_a_straight_line(config):
    """Its target is the derivative of x_t by t, found from two points of the line."""
    inputs, expected = find("fm_loss", config).inputs, find("fm_loss", config).expected
    x, noise, eps = (inputs[name].astype(np.float64) for name in ("x_start", "noise", "eps"))
    early, late = (
        expected["line"][0] @ (1, t) * x + expected["line"][1] @ (1, t) * noise for t in (0.2, 0.7)
    )
    velocity = (late - early) / 0.5
    assert expected["loss"] == pytest.approx(np.mean((eps - velocity) ** 2))
    np.testing.assert_allclose(
        expected["velocity"][0] * x + expected["velocity"][1] * noise, velocity
    )


@pytest.mark.parametrize("config", WALKS)
def test_the_expected_steps_solve_linear_growth(config):
    """On dx / dt = x, T Euler steps from 1 lead to (1 + 1 / T)^T."""
    expected, x = find("fm_generate", config).expected, 1.0
    for t, kept, moved in zip(*(expected[n] for n in ("times", "step_x", "step_v")), strict=True):
        assert 0 <= t < 1
        x = kept * x + moved * x
    T = len(expected["times"])
    assert x == pytest.approx((1 + 1 / T) ** T)


def test_quantiles_are_those_of_the_distributions():
    """Uniform and logit-normal, at their levels."""
    uniform, logistic = find("fm_loss", "small").expected["quantiles"]
    levels = (np.arange(len(uniform)) + 1) / (len(uniform) + 1)
    np.testing.assert_allclose(stats.uniform.cdf(uniform), levels)
    np.testing.assert_allclose(stats.norm.cdf(np.log(logistic / (1 - logistic))), levels)
    (asked,) = find("fm_loss", "logit_normal").expected["quantiles"]
    np.testing.assert_allclose(stats.norm(*LOGIT_NORMAL).cdf(np.log(asked / (1 - asked))), levels)


def test_a_right_distribution_fails_less_than_once_in_ten_million():
    """By the bound of Dvoretzky, Kiefer and Wolfowitz, since it is at most their distance."""
    assert 2 * math.exp(-2 * APART**2) < 1e-8
    (uniform, logistic), random = find("fm_loss", "small").expected["quantiles"], np.random
    for seed in range(20):
        times = np.sort(random.default_rng(seed).uniform(size=500))
        whole = stats.kstest(times, "uniform").statistic
        assert whole - 1.1 / len(uniform) < distance(times, uniform) <= whole + 1e-12
    many = np.sort(random.default_rng(0).uniform(size=4096))
    assert distance(many, logistic) > 1.5 * APART / np.sqrt(len(many)), "they are told apart"


def test_mistakes_are_wrong_and_told_apart():
    """Each known mistake is off by more than the tests allow, has a hint, and is named for it."""
    named, known = set(), set()
    for case in make_flow_cases(9):
        for hint, values in case.suspects.items():
            known.add(hint)
            assert hint.split(":")[0] in hints()
            if "signal" in values:
                right = GRID, 1 - GRID
                assert np.abs(values["signal"] - right[0]).max() > 0.05 or (
                    np.abs(values["noise"] - right[1]).max() > 0.05
                )
            elif "loss" in values:
                assert abs(values["loss"] / case.expected["loss"] - 1) > 1e-3, hint
            elif len(values["step_x"]) > 2:
                off = [np.abs(values[n] / case.expected[n] - 1).max() for n in STEP]
                assert max(off) > 1e-3, hint
            found = suspect(values, case.suspects, dict.fromkeys(values, 1e-6), 1e-4)
            assert found in (hint.split(":")[0], ""), f"{case.config}: {hint} looks like {found}"
            named |= {hint} if found else set()
    assert named == known
    assert known >= set(MIX)
    assert {case.config for case in make_flow_cases(9)} == {*LOSSES, *WALKS}


def test_times_that_are_wrong_are_named():
    """In the loss and in sampling."""
    t = np.array([0.1, 0.7, 0.4])
    assert time_hint(1 - t, t, 5) == "fm_time_reversed"
    assert time_hint(1000 * t, t, 5) == "fm_time_scaled"
    assert time_hint(np.floor(5 * t), t, 5) == "fm_time_scaled"
    assert time_hint(np.full(3, 0.4), t, 5) == "fm_one_time"
    assert time_hint(t**2, t, 5) == "fm_time"
    right = np.arange(5) / 5
    grids = {
        "fm_time_reversed": 1 - right,
        "fm_time_off_by_one": right + 0.2,
        "fm_time_grid": np.linspace(0, 1, 5),
        "fm_time_scaled": np.arange(5),
        "fm_last_step": right[:-1],
        "fm_first_step": right[1:],
        "fm_step_too_many": np.arange(6) / 5,
        "fm_evaluations": np.repeat(right, 2),
        "fm_time_stays": 0 * right,
        "fm_times": right + 0.1,
    }
    assert {hint: order_hint(grid, right) for hint, grid in grids.items()} == {n: n for n in grids}
    assert order_hint(999 * right, right) == "fm_time_scaled"


def test_the_judge_sees_whether_a_loss_draws_its_times():
    """By its arguments: noise in the place of t, whatever comes behind it."""

    def fall2025(x_start, label, noise=None): ...
    def last_t(x_start, label, noise=None, t=None): ...
    def given(x_start, label, t, noise=None): ...
    def either(x_start, label, t=None, noise=None): ...
    def other(x_start, label, tau=None): ...

    draws = {f.__name__: lacks_time(f, 2) for f in (fall2025, last_t, given, either, other)}
    assert [name for name, found in draws.items() if found] == ["fall2025", "last_t"]


def test_sampling_is_found_by_either_name():
    """The judge of each edition asks for its own."""
    ours, theirs = types.SimpleNamespace(p_sample_loop=1), types.SimpleNamespace(generate=2)
    for model, name in itertools.product((ours, theirs), ("p_sample_loop", "generate")):
        assert method_of(model, name) in (1, 2)
    with pytest.raises(AttributeError, match="generate"):
        method_of(types.SimpleNamespace(), "generate")


@pytest.mark.parametrize(
    ("defined", "name"),
    [
        ("    def p_sample_loop(self, labels):", "p_sample_loop"),
        ("    def generate(self, labels):", "generate"),
        ("    def generate(self, n): ...\n    def p_sample_loop(self, labels):", "p_sample_loop"),
        ("    # def generate(self, labels): see p_sample_loop", "p_sample_loop"),
        ("def generate(labels): of no class", "p_sample_loop"),
    ],
)
def test_what_a_submission_calls_sampling_is_what_is_said_of_it(tmp_path, defined, name):
    """Whatever the edition's own name is, the one that the team reads in its code is named."""
    (tmp_path / "ddpm.py").write_text(f"class DDPM:\n{defined}\n")
    student = Student(lambda: pytest.fail("no worker is needed"), RunState(), libs=tmp_path)
    student.ddpm = lambda case: "key"
    student.call = lambda key, method, *args, **kwargs: Answer([], asked=[])
    case = types.SimpleNamespace(kwargs={}, inputs={"label": np.arange(3)})
    chain = Chain(case, np.random.default_rng(0))
    with pytest.raises(Finding, match=f"^{name} returned a list of 0; expected"):
        check_pictures(chain.run(student).value, np.zeros(1), chain)
    assert student.words("p_sample_loop") == name
    assert student.words("compute_loss") == "compute_loss"


def test_the_reference_takes_the_expected_steps():
    """FM on a network that answers x and remembers the times."""
    expected = find("fm_generate", "odd").expected
    T, times = len(expected["times"]), []
    flow = FM((2, 8, 12), T, 8, 8, 3, (1,), ())

    class Growth(torch.nn.Module):
        def forward(self, x, label, t):
            times.append(t.tolist())
            return x

    flow.model, flow.postprocess = Growth(), lambda x: x
    torch.manual_seed(0)
    found = flow.generate(torch.tensor([0, 2]))
    torch.manual_seed(0)
    start = torch.randn(2, 2, 8, 12)
    torch.testing.assert_close(found, (1 + 1 / T) ** T * start, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(times, np.stack([expected["times"]] * 2, axis=1), atol=1e-6)

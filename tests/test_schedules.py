"""Noise schedules against diffusers and closed forms, and the grids of time steps."""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler

from libs.schedules import SCHEDULES, SPACINGS, make_betas, time_grid
from libs.utils import UserError


@pytest.mark.parametrize("timesteps", [5, 200, 1000])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("linear", "linear"),
        ("quadratic", "scaled_linear"),
        ("cosine", "squaredcos_cap_v2"),
        ("sigmoid_beta", "sigmoid"),
    ],
)
def test_betas_are_those_of_diffusers(ours, theirs, timesteps):
    """The schedules that diffusers has too are the same, up to its float32."""
    betas = make_betas(ours, timesteps, 3e-4, 0.015)
    scheduler = DDPMScheduler(timesteps, beta_start=3e-4, beta_end=0.015, beta_schedule=theirs)
    torch.testing.assert_close(betas.float(), scheduler.betas, rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize("timesteps", [4, 37, 1000])
def test_sigmoid_follows_the_formula_of_the_paper(timesteps):
    """alpha_bar at t/T is (S(3) - S(6 t/T - 3)) / (S(3) - S(-3)) until the cap of beta."""
    alpha_bar = (1 - make_betas("sigmoid", timesteps, 1, 1)).cumprod(dim=0)
    s = {u: 1 / (1 + math.exp(-(6 * u - 3))) for u in (k / timesteps for k in range(timesteps + 1))}
    expected = [(s[1] - s[k / timesteps]) / (s[1] - s[0]) for k in range(1, timesteps)]
    torch.testing.assert_close(alpha_bar[:-1], torch.tensor(expected, dtype=torch.float64))
    assert 0 < alpha_bar[-1] <= 1.01e-3 * alpha_bar[-2]


@pytest.mark.parametrize("name", ["linear", "quadratic", "sigmoid_beta"])
@pytest.mark.parametrize("timesteps", [100, 200, 300, 500, 1000, 4000])
def test_rescaled_chains_of_any_length_end_alike(name, timesteps):
    """With rescale, what is left of the signal is about that of T = 1000; without, it is not."""
    left = [
        (1 - make_betas(name, length, 1e-4, 0.02, rescale=rescale)).prod().item()
        for length, rescale in ((timesteps, True), (1000, False), (200, False))
    ]
    assert left[0] <= 1.2 * left[1] < 0.01 * left[2]


@pytest.mark.parametrize("name", SCHEDULES)
def test_rescaled_betas_stay_variances(name):
    """Very short rescaled chains have betas of at most 0.999; T = 1000 is not changed at all."""
    for timesteps in (1, 2, 10, 20, 21):
        betas = make_betas(name, timesteps, 1e-4, 0.02, rescale=True)
        assert 0 < betas.min() <= betas.max() <= 0.999
    plain = make_betas(name, 1000, 1e-4, 0.02)
    assert torch.equal(make_betas(name, 1000, 1e-4, 0.02, rescale=True), plain)
    short = make_betas(name, 30, 1e-4, 0.02, rescale=True)
    if name not in ("cosine", "sigmoid"):
        torch.testing.assert_close(short, make_betas(name, 30, 1e-4, 0.02) * 1000 / 30)


def test_signal_left_by_the_usual_betas():
    """The numbers that the documents give: 0.132 at T = 200, 0.048 at 300, 4e-5 at 1000."""
    for timesteps, left in ((200, 0.132), (300, 0.048), (500, 0.0064), (1000, 4e-5)):
        alpha_bar = (1 - make_betas("linear", timesteps, 1e-4, 0.02)).prod().item()
        assert alpha_bar == pytest.approx(left, rel=0.02)


def test_unknown_schedules_are_named():
    """A wrong name is an error that names the nearest schedule."""
    with pytest.raises(ValueError, match=r"'cosin'.*did you mean 'cosine'"):
        make_betas("cosin", 10, 1e-4, 0.02)
    with pytest.raises(ValueError, match=r"'x'.*linear, quadratic, sigmoid_beta, cosine, sigmoid"):
        make_betas("x", 10, 1e-4, 0.02)


@pytest.mark.parametrize("timesteps", [1, 2, 10, 37, 1000])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_grids_descend_and_have_their_ends(spacing, timesteps):
    """Every grid has as many steps as asked for, all different, and the ends of its spacing."""
    for steps in {1, 2, 7, 36, 37, timesteps - 1, timesteps} & set(range(1, timesteps + 1)):
        alpha_bar = (1 - make_betas("linear", timesteps, 1e-4, 0.02)).cumprod(dim=0)
        times = time_grid(timesteps, steps, spacing, alphas_cumprod=alpha_bar)
        assert len(times) == steps
        assert all(isinstance(time, int) for time in times)
        assert all(a > b for a, b in pairwise(times))
        assert 0 <= times[-1] <= times[0] < timesteps
        if spacing != "leading":
            assert times[0] == timesteps - 1
        if spacing == "leading" or (spacing in ("linspace", "log_snr") and steps > 1):
            assert times[-1] == 0
        if steps == timesteps:
            assert times == list(reversed(range(timesteps)))


@pytest.mark.parametrize("steps", [5, 10, 20])
def test_log_snr_grids_are_those_of_diffusers(steps):
    """DPM-Solver's uniform log-SNR; diffusers interpolates before it rounds: a step or two off."""
    betas = make_betas("linear", 1000, 1e-4, 0.02)
    scheduler = DPMSolverMultistepScheduler(trained_betas=betas.tolist(), use_lu_lambdas=True)
    scheduler.set_timesteps(steps)
    alpha_bar = (1 - betas).cumprod(dim=0)
    times = time_grid(1000, steps, "log_snr", alphas_cumprod=alpha_bar)
    assert (torch.tensor(times) - scheduler.timesteps).abs().max() <= 2


def test_log_snr_grids_have_equal_steps_in_log_snr():
    """The cosine schedule, whose last alpha_bar is near 0, counts from where noise is all."""
    alpha_bar = (1 - make_betas("cosine", 1000, 1e-4, 0.02)).cumprod(dim=0)
    times = time_grid(1000, 10, "log_snr", alphas_cumprod=alpha_bar)
    log_snr = [math.log(alpha_bar[t] / (1 - alpha_bar[t])) for t in times[1:]]
    steps = [b - a for a, b in pairwise(log_snr)]
    assert min(steps) > 0.85 * max(steps)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_cosine_grids_divide_a_half_circle(schedule):
    """In a flow's time of equal noise, which goes from that of T-1 to 1."""
    alpha_bar = (1 - make_betas(schedule, 1000, 1e-4, 0.02)).cumprod(dim=0)
    times = time_grid(1000, 6, "cosine", alphas_cumprod=alpha_bar)
    flow_times = 1 / (1 + (1 / alpha_bar[times] - 1).sqrt())
    angles = (1 - 2 * (flow_times - flow_times[0]) / (1 - flow_times[0])).acos()
    assert angles.diff().tolist() == pytest.approx([math.pi / 6] * 5, abs=0.02)


def test_log_snr_grids_take_a_schedule_that_ends_in_pure_noise():
    """Where alpha_bar is 0 at T-1 its logarithm is not finite, and the grid is all the same."""
    alpha_bar = torch.linspace(0.999, 0, 50)
    times = time_grid(50, 5, "log_snr", alphas_cumprod=alpha_bar)
    assert (times[0], times[-1], len(set(times))) == (49, 0, 5)


def test_grids_by_hand():
    """Ten steps of a thousand, and four of ten, in each spacing."""
    assert time_grid(1000, 4, "trailing") == [999, 749, 499, 249]
    assert time_grid(1000, 4, "leading") == [750, 500, 250, 0]
    assert time_grid(1000, 4, "linspace") == [999, 666, 333, 0]
    assert time_grid(10, 1, "linspace") == time_grid(10, 1, "trailing") == [9]


def test_leading_grid_with_offset():
    """Stable Diffusion's grid begins and ends one later, and cannot begin after the chain."""
    assert time_grid(1000, 4, "leading", offset=1) == [751, 501, 251, 1]
    assert time_grid(1000, 30, "leading", offset=1)[::29] == [29 * 33 + 1, 1]
    assert time_grid(10, 9, "leading", offset=1) == list(range(9, 0, -1))
    with pytest.raises(UserError, match=r"begin at time 10, .* end at 9: take fewer steps"):
        time_grid(10, 10, "leading", offset=1)


@pytest.mark.parametrize("steps", [-1, 0, 11])
def test_impossible_numbers_of_steps_are_refused(steps):
    """More steps than the chain has, or none, is the user's mistake."""
    with pytest.raises(UserError, match=f"10 time steps.* not {steps}"):
        time_grid(10, steps)


def test_unknown_spacings_are_refused():
    """A wrong spacing names the nearest one."""
    with pytest.raises(UserError, match="did you mean 'trailing'"):
        time_grid(10, 5, "trialing")

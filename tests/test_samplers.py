"""The samplers against diffusers, plain loops in other variables, and an exact solution."""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

from libs.ddim import ddim_step, sample_ddim
from libs.ddpm import DDPM
from libs.samplers.ancestral import sample_ancestral
from libs.samplers.deis import mean_advance, sample_deis
from libs.samplers.dpm_solver import sample_dpm_solver
from libs.schedules import make_betas, time_grid

T = 200  # few enough for walks over all of them
BETAS = (5e-4, 0.1)  # as noisy at the end as 1,000 steps of the usual schedule
ALPHA_BARS = (1 - make_betas("linear", T, *BETAS)).cumprod(dim=0)
MEANS, STDS, WEIGHTS = (
    torch.tensor(values, dtype=torch.float64)
    for values in ([-0.8, 0.1, 0.6], [0.05, 0.2, 0.1], [0.5, 0.2, 0.3])
)
SAMPLERS = {
    "ancestral": sample_ancestral,
    "ddim": sample_ddim,
    "dpm++": sample_dpm_solver,
    "deis": sample_deis,
}


def mixture_eps(alpha_bars):
    """The exact noise prediction where all pixels come from one mixture of Gaussians."""

    def eps_model(x, t):
        ab = alpha_bars[t].reshape(-1, *[1] * x.ndim)
        variances = ab * STDS**2 + 1 - ab
        distances = x[..., None] - ab.sqrt() * MEANS
        logits = WEIGHTS.log() - variances.log() / 2 - distances**2 / (2 * variances)
        score = -(logits.softmax(dim=-1) * distances / variances).sum(dim=-1)
        return -(1 - ab[..., 0]).sqrt() * score

    return eps_model


EPS = mixture_eps(ALPHA_BARS)


def start(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 2, 3, 5, dtype=torch.float64, generator=generator)


def noises(number):
    generator = torch.Generator().manual_seed(1)
    return list(torch.randn(number, *start().shape, dtype=torch.float64, generator=generator))


def from_list(values):
    """A draw_noise that hands out the values one after the other."""
    values = iter(values)
    return lambda x: next(values)


def at(times, final=1.0):
    return [*ALPHA_BARS[times].tolist(), final]


def plain_ddim(times, eta=0.0, clip=False, final=1.0):
    """DDIM in the variable x / sqrt(alpha_bar), with DDPM's posterior variance for eta = 1."""
    x = start() / ALPHA_BARS[times[0]].sqrt()
    for i, noise in enumerate(noises(len(times))):
        ab, ab_next = at(times, final)[i : i + 2]
        level, level_next = math.sqrt(1 / ab - 1), math.sqrt(1 / ab_next - 1)
        eps = EPS(x * math.sqrt(ab), torch.full((4,), times[i]))
        x_0 = x - level * eps
        x_0 = x_0.clamp(-1, 1) if clip else x_0
        variance = eta**2 * (1 - ab_next) / (1 - ab) * (1 - ab / ab_next) / ab_next
        x = x_0 + math.sqrt(level_next**2 - variance) * (x - x_0) / level
        x = x + math.sqrt(variance) * noise
    return x * math.sqrt(final)


def plain_dpm_solver(times, clip=False):
    """The second-order multistep method over sigma = sqrt(1 / alpha_bar - 1), to sigma = 0."""
    x = start() / ALPHA_BARS[times[0]].sqrt()
    sigmas = [math.sqrt(1 / ab - 1) for ab in at(times)]
    before = None
    for i, (time, sigma, sigma_next) in enumerate(zip(times, sigmas, sigmas[1:], strict=False)):
        x_0 = x - sigma * EPS(x / math.sqrt(1 + sigma**2), torch.full((4,), time))
        x_0 = x_0.clamp(-1, 1) if clip else x_0
        slope = 0.0
        if 0 < i < len(times) - 1:
            slope = (x_0 - before) / math.log(sigmas[i - 1] / sigma)
            slope = slope * math.log(sigma / sigma_next) / 2
        x = sigma_next / sigma * x + (1 - sigma_next / sigma) * (x_0 + slope)
        before = x_0
    return x


def diffusers_ddim(steps, spacing, eta, clip):
    scheduler = DDIMScheduler(
        T, clip_sample=clip, timestep_spacing=spacing, prediction_type="epsilon"
    )
    scheduler.alphas_cumprod = ALPHA_BARS
    scheduler.set_timesteps(steps)
    x = start()
    for t, noise in zip(scheduler.timesteps, noises(steps), strict=True):
        eps = EPS(x, t.expand(4))
        options = {"eta": eta, "use_clipped_model_output": True}
        options |= {"variance_noise": noise} if eta > 0 else {}
        x = scheduler.step(eps, int(t), x, **options).prev_sample
    return x, scheduler.timesteps.tolist()


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(
    ("spacing", "steps"),
    [("trailing", n) for n in (1, 2, 50)]
    + [("leading", n) for n in (1, 2, 7, 50)]
    + [pytest.param(spacing, T, marks=pytest.mark.slow) for spacing in ("trailing", "leading")],
)
def test_ddim_is_that_of_diffusers(spacing, steps, eta, clip):
    """DDIM agrees with diffusers on all grids where diffusers steps to the next listed time."""
    x, times = diffusers_ddim(steps, spacing, eta, clip)
    assert time_grid(T, steps, spacing) == times
    ours = sample_ddim(
        EPS, start(), ALPHA_BARS, times, eta=eta, clip_x0=clip, draw_noise=from_list(noises(steps))
    )
    torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("final", [1.0, ALPHA_BARS[0].item()])
@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("steps", [1, 2, 7, 50, T])
def test_ddim_is_the_plain_loop(steps, spacing, eta, final):
    """DDIM agrees with a plain loop on every grid, and with every end of the schedule."""
    times = time_grid(T, steps, spacing)
    options = {"eta": eta, "final_alpha_bar": final, "draw_noise": from_list(noises(steps))}
    ours = sample_ddim(EPS, start(), ALPHA_BARS, times, **options)
    torch.testing.assert_close(ours, plain_ddim(times, eta, final=final), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("eta", [0, 1])
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("spacing", ["trailing", "leading"])
@pytest.mark.parametrize("steps", [1, 2, 7, 14, 15, 50])
def test_dpm_solver_is_that_of_diffusers(steps, spacing, clip, eta):
    """DPM-Solver++(2M) and its SDE agree with diffusers, with fewer than 15 steps and more."""
    times = time_grid(T, steps, spacing)
    scheduler = DPMSolverMultistepScheduler(
        T,
        *BETAS,
        algorithm_type="sde-dpmsolver++" if eta else "dpmsolver++",
        lower_order_final=True,
        final_sigmas_type="zero",
    )
    scheduler.set_timesteps(timesteps=times)
    if clip:  # diffusers clips by percentile alone: give it predictions that are clipped already
        scheduler.config.prediction_type = "sample"
    x = start()
    for t, noise in zip(scheduler.timesteps, noises(steps), strict=True):
        out = EPS(x, t.expand(4))
        if clip:
            ab = ALPHA_BARS[t]
            out = ((x - (1 - ab).sqrt() * out) / ab.sqrt()).clamp(-1, 1)
        x = scheduler.step(out, t, x, variance_noise=noise).prev_sample
    options = {"clip_x0": clip, "eta": eta, "draw_noise": from_list(noises(steps))}
    ours = sample_dpm_solver(EPS, start(), ALPHA_BARS, times, **options)
    torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-4)


def test_noise_of_dpm_solver_leaves_the_variance():
    """Where x_0 is known, a step with any eta gives the forward process's distribution."""
    generator = torch.Generator().manual_seed(0)
    x_0 = torch.full((200_000,), 0.3, dtype=torch.float64)
    ab, ab_next = ALPHA_BARS[[120, 40]].tolist()
    for eta in (0.0, 0.5, 1.0):
        noise = torch.randn(x_0.shape, dtype=torch.float64, generator=generator)
        x = math.sqrt(ab) * x_0 + math.sqrt(1 - ab) * noise
        states = {}
        sample_dpm_solver(
            lambda x, t: (x - math.sqrt(ab) * x_0) / math.sqrt(1 - ab),
            x,
            ALPHA_BARS,
            [120, 40],
            eta=eta,
            draw_noise=lambda x: torch.randn(x.shape, dtype=x.dtype, generator=generator),
            on_step=states.__setitem__,
        )
        assert states[0].mean().item() == pytest.approx(math.sqrt(ab_next) * 0.3, abs=0.01)
        assert states[0].var().item() == pytest.approx(1 - ab_next, rel=0.02)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("steps", [1, 2, 7, 50, T])
def test_dpm_solver_is_the_plain_loop(steps, spacing, clip):
    """DPM-Solver++(2M) agrees with a plain loop on every grid, the full chain included."""
    times = time_grid(T, steps, spacing)
    ours = sample_dpm_solver(EPS, start(), ALPHA_BARS, times, clip_x0=clip)
    torch.testing.assert_close(ours, plain_dpm_solver(times, clip), rtol=1e-6, atol=1e-8)


def flow_time(time):
    alpha_bar = ALPHA_BARS[time].item()
    return 1 / (1 + math.sqrt(1 / alpha_bar - 1))


def eps_of_line(offset, slope):
    """A noise prediction whose x_0 is offset + slope times a flow's time."""

    def eps_model(x, t):
        x_0, alpha_bar = offset + flow_time(t[0]) * slope, ALPHA_BARS[t[0]]
        return (x - alpha_bar.sqrt() * x_0) / (1 - alpha_bar).sqrt()

    return eps_model


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("steps", [2, 3, 7])
def test_deis_reaches_data_whose_predictions_are_on_a_line(steps, eta):
    """Where x_0's prediction is linear in a flow's time, every number of steps ends at its end."""
    offset, slope = start(1), start(2)
    times = time_grid(T, steps, "cosine", alphas_cumprod=ALPHA_BARS)
    x_0 = sample_deis(eps_of_line(offset, slope), start(), ALPHA_BARS, times, eta=eta)
    torch.testing.assert_close(x_0, offset + slope, rtol=1e-9, atol=1e-9)


def test_a_step_of_deis_solves_the_ode_of_its_line():
    """The second step is that of Euler's method in 10,000 small ones, in a flow's own scale."""
    offset, slope, seen = start(1), start(2), []
    times = [190, 120, 60]
    sample_deis(
        eps_of_line(offset, slope),
        start(),
        ALPHA_BARS,
        times,
        on_step=lambda i, x: seen.append(x),
    )
    scales = [flow_time(t) / ALPHA_BARS[t].sqrt().item() for t in times]
    t, t_end, small = flow_time(times[1]), flow_time(times[2]), 10_000
    x, h = scales[1] * seen[0], (t_end - t) / small
    for i in range(small):
        now = t + i * h
        x = x + h * (offset + now * slope - x) / (1 - now)
    torch.testing.assert_close(scales[2] * seen[1], x, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("t", "t_next"), [(0.1, 0.11), (0.2, 0.7), (0.6, 0.999)])
def test_mean_advance_is_the_mean(t, t_next):
    """The mean of s - t under the weights 1 / (1 - s)^2, as a sum over a fine grid."""
    s = torch.linspace(t, t_next, 200_001, dtype=torch.float64)
    s, weights = (s[1:] + s[:-1]) / 2, (1 / (1 - s)).diff()
    mean = (weights * (s - t)).sum() / weights.sum()
    assert mean_advance(t, t_next) == pytest.approx(mean.item(), rel=1e-4)
    assert mean_advance(t, 1.0) == 1 - t


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("steps", [1, 2, 7, 50, T])
def test_ancestral_is_ddim_with_full_noise(steps, spacing, clip):
    """The posterior of DDPM on any grid is DDIM with eta = 1 (Song et al. 2021, section 4.1)."""
    times = time_grid(T, steps, spacing)
    draw_noise = from_list(noises(steps))
    ours = sample_ancestral(EPS, start(), ALPHA_BARS, times, clip_x0=clip, draw_noise=draw_noise)
    torch.testing.assert_close(ours, plain_ddim(times, 1.0, clip), rtol=1e-6, atol=1e-8)


def test_ancestral_on_all_steps_is_the_models_own_chain():
    """With the same noise, every state is that of DDPM.p_sample."""
    torch.manual_seed(0)
    model = DDPM((1, 8, 8), 20, dim=8, context_dim=8, num_classes=3, attn_levels=()).eval()
    for parameter in model.model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    labels = torch.tensor([0, 1, 2])
    x = first = torch.randn(3, 1, 8, 8)
    torch.manual_seed(1)
    expected = []
    for t in reversed(range(20)):
        x = model.p_sample(x, labels, torch.full((3,), t), t)
        expected.append(x)
    states = []
    torch.manual_seed(1)
    with torch.no_grad():
        sample_ancestral(
            lambda x, t: model.model(x, labels, t),
            first,
            (1 - model.betas.double()).cumprod(dim=0),
            list(reversed(range(20))),
            on_step=lambda i, x: states.append(x),
        )
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("clip", [False, True])
def test_the_last_step_leads_to_the_predicted_x_0(name, clip):
    """The step to x_0 answers with exactly the x_0 predicted there, clipped for pixels."""
    ab, prediction = ALPHA_BARS[60], 2 * start(1)
    x_0 = SAMPLERS[name](
        lambda x, t: (x - ab.sqrt() * prediction) / (1 - ab).sqrt(),
        start(),
        ALPHA_BARS,
        [60],
        clip_x0=clip,
    )
    expected = prediction.clamp(-1, 1) if clip else prediction
    torch.testing.assert_close(x_0, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", SAMPLERS)
def test_steps_are_reported(name):
    """on_step sees i = 0, 1, ... once each with the new state, the last one the result."""
    seen = []
    x = SAMPLERS[name](
        EPS, start(), ALPHA_BARS, [180, 100, 4], on_step=lambda i, x: seen.append((i, x))
    )
    assert [i for i, _ in seen] == [0, 1, 2]
    assert torch.equal(seen[-1][1], x)
    assert not torch.equal(seen[0][1], seen[1][1])


@pytest.mark.parametrize("name", SAMPLERS)
def test_float32_is_enough(name):
    """States in float32, as in use, and a float32 schedule give what float64 gives."""
    times = time_grid(T, 20)
    exact, rounded = (
        SAMPLERS[name](
            lambda x, t: EPS(x.double(), t).to(x.dtype),
            start().to(dtype),
            ALPHA_BARS.to(dtype),
            times,
            draw_noise=from_list([noise.to(dtype) for noise in noises(20)]),
        )
        for dtype in (torch.float64, torch.float32)
    )
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded.double(), exact, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("steps", [3, 4])
@pytest.mark.parametrize("spacing", ["trailing", "cosine", "log_snr"])
def test_deis_is_the_nearest_with_few_evaluations(steps, spacing):
    """Its line to the data lets three or four evaluations end nearer to the exact solution."""
    exact = exact_flow(start(), ALPHA_BARS[-1].item(), 1.0)
    times = time_grid(T, steps, spacing, alphas_cumprod=ALPHA_BARS)
    ddim, dpm, deis = (
        (sampler(EPS, start(), ALPHA_BARS, times) - exact).abs().mean()
        for sampler in (sample_ddim, sample_dpm_solver, sample_deis)
    )
    assert deis < 0.97 * min(ddim, dpm)


def test_ddim_step_needs_noise_only_for_sigma():
    """Without eta, and in the step to x_0, no noise has to be given."""
    x, eps = start(), start(1)
    for options in ({"eta": 0.0}, {"eta": 1.0, "alpha_bar_next": 1.0}):
        options = {"alpha_bar": 0.3, "alpha_bar_next": 0.6, **options}
        plain = ddim_step(x, eps, **options)
        assert torch.equal(plain, ddim_step(x, eps, noise=torch.ones_like(x), **options))


def test_clipping_keeps_the_state_consistent():
    """After clipping, x_0 and the noise derived anew still make up x: no step leads back to it."""
    x, eps = 3 * start(), start(1)
    torch.testing.assert_close(ddim_step(x, eps, 0.3, 0.3, clip_x0=True), x)
    assert ddim_step(x, eps, 0.3, 1.0, clip_x0=True).abs().max() == 1


def mixture_cdf(x, alpha_bar):
    stds = (alpha_bar * STDS**2 + 1 - alpha_bar).sqrt()
    z = (x[..., None] - math.sqrt(alpha_bar) * MEANS) / stds
    return (WEIGHTS * torch.special.ndtr(z)).sum(dim=-1)


def exact_flow(x, alpha_bar, alpha_bar_next):
    """Where the probability flow leads a pixel: to the same quantile of the next distribution."""
    quantile = mixture_cdf(x, alpha_bar)
    low, high = torch.full_like(x, -20), torch.full_like(x, 20)
    for _ in range(80):
        middle = (low + high) / 2
        below = mixture_cdf(middle, alpha_bar_next) < quantile
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return low


@pytest.mark.parametrize(("name", "order"), [("ddim", 1), ("dpm++", 2), ("deis", 2)])
def test_orders_of_convergence(name, order):
    """Twice the steps halve the error of DDIM and quarter that of the two of second order."""
    alpha_bars = (1 - make_betas("cosine", 200_000, 0, 0)).cumprod(dim=0)
    log_snrs = (alpha_bars / (1 - alpha_bars)).log()
    errors = []
    for steps in (40, 80, 160):
        goals = torch.linspace(-4, 4, steps + 1, dtype=torch.float64)
        *times, end = (int((log_snrs - goal).abs().argmin()) for goal in goals)
        final = alpha_bars[end].item()
        ours = SAMPLERS[name](
            mixture_eps(alpha_bars), start(), alpha_bars, times, final_alpha_bar=final
        )
        error = ours - exact_flow(start(), alpha_bars[times[0]].item(), final)
        errors.append(error.square().mean().sqrt().item())
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.3), errors


def test_second_order_beats_first_order():
    """With 10 to 50 steps DPM-Solver++(2M) is nearer to the exact solution than DDIM."""
    exact = exact_flow(start(), ALPHA_BARS[-1].item(), 1.0)
    for steps in (10, 20, 50):
        times = time_grid(T, steps)
        ddim, dpm = (
            (sampler(EPS, start(), ALPHA_BARS, times) - exact).abs().mean()
            for sampler in (sample_ddim, sample_dpm_solver)
        )
        assert dpm < 0.8 * ddim, steps

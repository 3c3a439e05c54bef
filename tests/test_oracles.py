"""The grader's expected values, against diffusers, against its own statistics, and as stored."""

import functools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from autograder.checks.cases import CONFIGS, TRANSFORMERS, Case, load_goldens, save_goldens
from autograder.checks.evidence import noise_fault, suspect, weights
from autograder.hidden import mistakes
from autograder.hidden.bonus import FEATURES, covariance, make_bonus_cases
from autograder.hidden.dit import make_dit_cases
from autograder.hidden.edm import BATCHES, make_edm_cases
from autograder.hidden.oracles import make_cases, schedule_of
from autograder.hidden.scaling import BLOCKS, WALKS, make_scaling_cases
from autograder.hints import hints
from autograder.tests.test_dit import TOLERANCE
from diffusers import DDIMScheduler, DDPMScheduler, EDMEulerScheduler
from instructor.goldens import SEED
from instructor.submissions.overlay import scenarios
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

import machines
from helpers.files import ROOT
from helpers.scripts import run_script
from libs.models.adaln import modulate
from libs.models.dit import DiT
from libs.stable_diffusion import StableDiffusionUNet, rename


def scheduler(config: str) -> DDPMScheduler:
    """diffusers' process of a configuration."""
    kind = {"cosine": "squaredcos_cap_v2"}.get(config, "linear")
    start, end = 1e-4, 0.02
    if CONFIGS[config].get("use_vae"):
        kind, start, end = "scaled_linear", 0.00085, 0.012
    return DDPMScheduler(
        CONFIGS[config]["timesteps"],
        beta_start=start,
        beta_end=end,
        beta_schedule=kind,
        clip_sample=False,
        variance_type="fixed_small",
    )


@pytest.mark.parametrize("config", CONFIGS)
def test_schedules_are_those_of_diffusers(config):
    """Our betas and alpha_bar agree with diffusers' schedulers."""
    theirs, ours = scheduler(config), schedule_of(config)
    np.testing.assert_allclose(ours.alpha_bar, theirs.alphas_cumprod.numpy(), rtol=2e-4)
    np.testing.assert_allclose(ours.beta, theirs.betas.numpy(), rtol=1e-4)


@pytest.mark.parametrize("config", ["mnist", "cifar10", "afhq", "odd", "cosine"])
def test_forward_process_is_that_of_diffusers(config):
    """The expected x_t agrees with diffusers' add_noise."""
    case = find(config, "q_sample")
    signal, noise = (case.expected[name].reshape(-1, 1, 1, 1) for name in ("signal", "noise"))
    ours = signal * case.inputs["x_start"] + noise * case.inputs["noise"]
    parts = (torch.tensor(case.inputs[name]) for name in ("x_start", "noise", "t"))
    np.testing.assert_allclose(ours, scheduler(config).add_noise(*parts).numpy(), atol=1e-4)


@pytest.mark.parametrize("config", ["mnist", "cifar10", "afhq", "odd"])
def test_steps_back_are_those_of_diffusers(config):
    """Mean and posterior variance; the last step is exact."""
    case, theirs = find(config, "p_sample"), scheduler(config)
    for k, t in enumerate(case.inputs["steps"]):
        x, eps = case.inputs[f"x{k}"].astype(np.float64), case.inputs[f"eps{k}"].astype(np.float64)
        mean = case.expected["step_x"][k] * x + case.expected["step_eps"][k] * eps
        generator = torch.Generator().manual_seed(0)
        step = theirs.step(torch.from_numpy(eps), int(t), torch.from_numpy(x), generator=generator)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.double)
        sigma = case.expected["step_sigma"][k, 0] if t else 0.0
        ours = mean + sigma * noise.numpy()
        scale = np.abs(x).max()
        np.testing.assert_allclose(ours, step.prev_sample.numpy(), atol=1e-4 * scale)
        assert case.expected["step_sigma"][k, 1] == pytest.approx(theirs.betas[t].sqrt().item())


@pytest.mark.parametrize("part", ["compute_loss", "latent"])
def test_loss_and_gradient_are_those_of_autograd(part):
    """The expected loss and gradient agree with torch's autograd."""
    for case in (case for case in make_cases(5) if case.part == part):
        eps = torch.from_numpy(case.inputs["eps"]).double().requires_grad_()
        factor = torch.ones((), dtype=torch.double, requires_grad=True)
        noise = torch.from_numpy(case.inputs["noise"]).double()
        loss = torch.nn.functional.mse_loss(eps * factor, noise)
        loss.backward()
        assert case.expected["loss"] == pytest.approx(loss.item())
        assert case.expected["gradient"] == pytest.approx(factor.grad.item())


def ddim_scheduler(alpha_bar: np.ndarray, times: list[int], clip: bool = False) -> DDIMScheduler:
    """diffusers' sampler on a given schedule, in float64; its steps lead from each time to the
    next."""
    theirs = DDIMScheduler(len(alpha_bar), clip_sample=clip, set_alpha_to_one=True)
    theirs.alphas_cumprod = torch.from_numpy(alpha_bar.copy())
    # `step` finds the next time as t - T // n: one pair a scheduler, whatever lies between
    theirs.num_inference_steps = 1
    theirs.config.num_train_timesteps = times[0] - times[1]
    return theirs


def ddim_step(alpha_bar, t, then, x, eps, eta, noise, clip=False) -> np.ndarray:
    """One step of diffusers' sampler from t to `then`, of which -1 is x_0."""
    theirs = ddim_scheduler(alpha_bar, [t, then], clip)
    x, eps, noise = (torch.from_numpy(value.astype(np.float64)) for value in (x, eps, noise))
    options = {"eta": eta, "variance_noise": noise, "use_clipped_model_output": clip}
    return theirs.step(eps, t, x, **options).prev_sample.numpy()


@pytest.mark.parametrize("config", ["mnist", "thousand", "odd"])
def test_ddim_steps_are_those_of_diffusers(config):
    """All pairs of times and all values of eta, and the step with clipping."""
    case, s = bonus_case(config, "bonus_sampling"), schedule_of(config)
    x, eps, noise = (case.inputs[name].astype(np.float64) for name in ("x", "eps", "noise"))
    high, low = 2 * s.T // 3, s.T // 5
    pairs = [(s.T - 1, high), (high, low), (low, 1), (0, -1), (high, -1), (high, high - 1)]
    pairs.append((low, low))
    bars = np.append(s.alpha_bar, 1.0)
    for n, (t, then) in enumerate(pairs):
        assert (bars[t], bars[then]) == (
            case.inputs["alpha_bar"][n],
            case.inputs["alpha_bar_next"][n],
        )
        for e, eta in enumerate(case.inputs["etas"]):
            mix = (case.expected[name][e, n] for name in ("x", "eps", "noise"))
            ours = sum(w * v for w, v in zip(mix, (x, eps, noise), strict=True))
            theirs = ddim_step(s.alpha_bar, t, then, x, eps, eta, noise)
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
            theirs = ddim_step(s.alpha_bar, t, then, x, eps, eta, noise, clip=True)
            np.testing.assert_allclose(case.expected["clipped"][e, n], theirs, atol=1e-6)


@pytest.mark.parametrize("config", ["mnist", "thousand", "odd"])
def test_ddim_walks_are_those_of_diffusers(config):
    """The walks to x_0; the one with clipping up to its last step."""
    case = bonus_case(config, "bonus_sampling")
    bars = case.inputs["alphas_cumprod"]
    for name in ("plain", "noisy", "to_zero"):
        times, clip = case.inputs[f"times_{name}"].tolist(), name == "noisy"
        x, eta = case.inputs["start"], float(case.inputs[f"eta_{name}"])
        steps = list(zip(times, [*times[1:], -1], strict=True))
        for i, (t, then) in enumerate(steps if not clip else steps[:-1]):
            eps, noise = case.inputs["answers"][i], case.inputs["noises"][i]
            x = ddim_step(bars, t, then, x, eps, eta, noise, clip)
            np.testing.assert_allclose(case.expected[name][i], x, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("config", FEATURES)
def test_evaluation_is_that_of_scipy_and_numpy(config):
    """Covariance by numpy, eq. 6 by scipy's matrix root, neighbours by scipy's distances."""
    case = bonus_case(config, "bonus_evaluation")
    features = case.inputs["features"].astype(np.float64)
    by_numpy = np.cov(features, rowvar=False)
    np.testing.assert_allclose(case.expected["cov"], by_numpy, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(covariance(features), case.inputs["cov1"], rtol=1e-9, atol=1e-9)
    m1, c1, m2, c2 = (case.inputs[name] for name in ("mean1", "cov1", "mean2", "cov2"))
    root = sqrtm(c1 @ c2).real
    distance = np.sum((m1 - m2) ** 2) + np.trace(c1 + c2 - 2 * root)
    assert case.expected["distance"] == pytest.approx(distance, abs=1e-4)
    samples, train = (case.inputs[n].reshape(len(case.inputs[n]), -1) for n in ("samples", "train"))
    away = np.sort(cdist(samples, train), axis=1)
    np.testing.assert_allclose(case.expected["ratio"], away[:, 0] / away[:, 1], atol=1e-6)
    assert case.expected["ratio"].min() == 0


@pytest.mark.parametrize("seed", [SEED, 1, 2, 3])
def test_a_covariance_in_half_precision_shows(seed):
    """The features have more digits than float16 holds, by more than the test allows."""
    worst = 0.0
    for case in (c for c in make_bonus_cases(seed) if c.part == "bonus_evaluation"):
        features = case.inputs["features"]
        assert features.dtype == np.float32
        off = covariance(features.astype(np.float16).astype(np.float64)) - case.expected["cov"]
        worst = max(worst, np.abs(off).max() / np.abs(case.expected["cov"]).max())
    assert worst > 2e-4


# OpenBLAS has others. Each rounds in its own way, and needs instructions that a processor may lack.
KERNELS = [
    machine.env["OPENBLAS_CORETYPE"]
    for machine in machines.MACHINES
    if "OPENBLAS_CORETYPE" in machine.env and not machines.why_not(machine)
]


@pytest.mark.skipif(len(KERNELS) < 2, reason="this processor runs fewer than two sets of kernels")
def test_features_do_not_depend_on_the_processor():
    """Every kernel of the matrix product makes the same case, so goldens hold on any machine."""
    code = """
import numpy as np
from autograder.hidden.bonus import FEATURES, evaluation_case
for config, shape in FEATURES.items():
    case = evaluation_case(config, shape, np.random.default_rng(4))
    print(*case.inputs["features"].flat, *case.expected["cov"].flat, case.expected["distance"])
    print(*(s["distance"] for s in case.suspects.values() if "distance" in s))
"""
    runs = [run_script("-c", code, OPENBLAS_CORETYPE=k, PYTHONPATH=str(ROOT)) for k in KERNELS]
    assert not any(run.returncode for run in runs), [run.stderr for run in runs]
    here, *others = (np.array(run.stdout.split(), dtype=float) for run in runs)
    for other in others:
        np.testing.assert_allclose(other, here, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("config", BATCHES)
def test_preconditioning_is_that_of_diffusers(config):
    """All four functions, at noise levels from thousandths to tens."""
    case = bonus_case(config, "bonus_edm")
    theirs = EDMEulerScheduler(sigma_data=float(case.inputs["sigma_data"]))
    sigma = torch.from_numpy(case.inputs["sigma"].astype(np.float64))
    one, zero = torch.ones(()).double(), torch.zeros(()).double()
    found = {
        "c_in": [theirs.precondition_inputs(one, s) for s in sigma],
        "c_noise": [theirs.precondition_noise(s) for s in sigma],
        "c_skip": [theirs.precondition_outputs(one, zero, s) for s in sigma],
        "c_out": [theirs.precondition_outputs(zero, one, s) for s in sigma],
    }
    for name, values in found.items():
        np.testing.assert_allclose(case.expected[name], torch.stack(values), rtol=1e-6)


@pytest.mark.parametrize("config", BATCHES)
def test_edm_loss_is_that_of_the_networks_target(config):
    """Eq. 8: weighted as it is, the loss is the plain squared error of what the network learns."""
    case = bonus_case(config, "bonus_edm")
    y, denoised = (case.inputs[name].astype(np.float64) for name in ("clean", "denoised"))
    sigma, d = case.inputs["sigma"].astype(np.float64), float(case.inputs["sigma_data"])
    noise = case.inputs["noise"]
    errors = []
    for i, s in enumerate(sigma):
        noisy, variance = y[i] + s * noise[i], s**2 + d**2
        answer, target = (
            (image - d**2 / variance * noisy) * variance**0.5 / (s * d)
            for image in (denoised[i], y[i])
        )
        errors.append(np.mean((answer - target) ** 2))
    assert case.expected["loss"] == pytest.approx(np.mean(errors))


@pytest.mark.parametrize("config", BATCHES)
def test_heuns_step_is_the_trapezoid_rule(config):
    """On Gaussian data the flow is dx/dsigma = sigma x / (sigma^2 + d^2), in numbers."""
    case, d = bonus_case(config, "bonus_edm"), 0.7
    for i, (t, u) in enumerate(case.inputs["levels"][:3]):
        there = 1.0 + (u - t) * t / (t**2 + d**2)
        slope = (t / (t**2 + d**2) + u * there / (u**2 + d**2)) / 2
        answers = d**2 / (t**2 + d**2), d**2 / (u**2 + d**2) * there
        point = case.expected["next_x"][i] + case.expected["next_first"][i] * answers[0]
        mix = [case.expected[f"step_{name}"][i] for name in ("x", "first", "second")]
        assert point == pytest.approx(there)
        assert np.dot(mix, (1.0, *answers)) == pytest.approx(1 + (u - t) * slope)


def test_mistakes_with_edm_are_told_apart():
    """Each entry of the catalogue is named for what it gives, and none for another's."""
    told, hints_of = set(), set()
    for case in make_edm_cases(9):
        for hint, values in case.suspects.items():
            tolerance = {k: 2e-5 + 2e-3 * np.abs(case.expected[k]) for k in values}
            found = suspect(values, case.suspects, tolerance)
            assert found in (hint.split(":")[0], ""), f"{case.config}: {hint} looks like {found}"
            hints_of.add(hint)
            told |= {hint} if found else set()
    assert told == hints_of


@pytest.mark.parametrize("config", BLOCKS)
def test_names_are_those_of_the_network_and_of_compvis(config):
    """Each tensor of the UNet has one name; Stable Diffusion 1.x has 686 of them."""
    case = bonus_case(config, "bonus_scaling")
    theirs, ours = ([n.decode() for n in v["names"]] for v in (case.inputs, case.expected))
    blocks = int(case.inputs["res_blocks"])
    assert len(set(theirs)) == len(set(ours)) == len(ours)
    assert [rename(name, blocks) for name in theirs] == ours
    if config == "names":
        with torch.device("meta"):
            network = StableDiffusionUNet(32, 8)
        assert set(network.state_dict()) == set(ours)
        assert len(ours) == 686


@pytest.mark.parametrize("config", WALKS)
def test_guided_walk_is_that_of_diffusers(config):
    """DDIM's steps on guided noise, the last one to the alpha_bar of time 0."""
    case = bonus_case(config, "bonus_scaling")
    x, bars = torch.from_numpy(case.inputs["x"].copy()).double(), case.expected["alpha_bars"]
    scheduler = DDIMScheduler(2, clip_sample=False, set_alpha_to_one=False)
    negative, context = (case.inputs[f"eps_{n}"].astype(float) for n in ("negative", "context"))
    for i, state in enumerate(case.expected["states"]):
        eps = 3.5 * context[i] - 2.5 * negative[i]
        scheduler.alphas_cumprod = torch.tensor([bars[i + 1], bars[i]])
        scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0]
        scheduler.set_timesteps(2)
        x = scheduler.step(torch.from_numpy(eps), 1, x).prev_sample
        np.testing.assert_allclose(state, x.numpy(), atol=1e-4)


def transformer(case: Case, dtype: torch.dtype) -> tuple[DiT, dict[str, torch.Tensor]]:
    """The kit's network with a case's weights and embeddings, and the case's inputs."""
    network = DiT(**TRANSFORMERS[case.config][0]).to(dtype)
    given = {name: torch.from_numpy(value.copy()) for name, value in case.inputs.items()}
    weights = {n.removeprefix("w:"): value for n, value in given.items() if n.startswith("w:")}
    missing = set(network.load_state_dict(weights, strict=False).missing_keys)
    assert {name.split(".")[0] for name in missing} == {"time_embd", "label_embd"}
    given = {n: v.to(dtype) if v.is_floating_point() else v for n, v in given.items()}
    network.time_embd, network.label_embd = (
        EmbeddingDouble(given[name]) for name in ("time_emb", "label_emb")
    )
    return network, given


@torch.no_grad()
@pytest.mark.parametrize("config", TRANSFORMERS)
def test_the_vision_transformer_is_that_of_the_kit(config):
    """With all weights copied each function agrees; tests/test_vision_transformer.py compares the
    kit's with diffusers'."""
    case = bonus_case(config, "dit")
    network, given = transformer(case, torch.double)
    rows, columns = (side // network.patch_size for side in TRANSFORMERS[config][1])
    found = {
        "tokens": network.patchify(given["x"]),
        "images": network.unpatchify(given["patches"], rows, columns),
        "modulated": modulate(given["tokens"], given["shift"], given["scale"]),
        "block": network.blocks[0](given["tokens"], given["emb"]),
        "whole": network(given["x"], given["label"], given["time"]),
    }
    for name, value in found.items():
        np.testing.assert_allclose(case.expected[name], value.numpy(), rtol=1e-5, atol=1e-5)
        assert value.std() > 0.3


@torch.no_grad()
def test_rounding_in_a_deep_transformer_is_well_within_the_tolerance():
    """Protects: through 13 blocks, or with 306 tokens, a right network was off by too much."""
    for case in (case for seed in range(10) for case in make_dit_cases(seed)):
        network, given = transformer(case, torch.float32)
        value = network(given["x"], given["label"], given["time"]).numpy()
        error, size = (np.abs(v).max() for v in (value - case.expected["whole"], value))
        assert error < TOLERANCE / 2 * (1 + size)


class EmbeddingDouble(torch.nn.Module):
    """Answers with the same rows, whatever it is given."""

    def __init__(self, rows: torch.Tensor) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.rows


def test_mistakes_with_the_vision_transformer_are_told_apart():
    """Each entry of the catalogue is named for what it gives, and none for another's."""
    for case in make_dit_cases(9):
        for hint, values in case.suspects.items():
            found = suspect(values, case.suspects, dict.fromkeys(values, 1e-3), relative=1e-3)
            assert found == hint.split(":")[0], f"{case.config}: {hint} looks like {found}"


def test_mistakes_with_guidance_are_told_apart():
    """Each entry of the catalogue is named for what it gives, and none for another's."""
    for case in make_scaling_cases(9):
        for hint, values in case.suspects.items():
            found = suspect(values, case.suspects, dict.fromkeys(values, 2e-3))
            assert found in (hint.split(":")[0], ""), f"{case.config}: {hint} looks like {found}"


def test_mistakes_with_the_bonus_differ_from_the_right_answer():
    """Each entry is off in some case by more than the tests allow."""
    cases, off = make_bonus_cases(9), set()
    for case in cases:
        for hint, values in case.suspects.items():
            for name, value in values.items():
                expected = case.expected[name]
                same = np.shape(value) == np.shape(expected) and np.allclose(
                    value, expected, atol=5e-3
                )
                off |= set() if same else {hint}
    assert off == {hint for case in cases for hint in case.suspects}


def test_seeds_give_other_numbers_and_repeat():
    """A seed repeats its cases, and another seed gives other numbers."""
    first, again, other = make_cases(1)[0], make_cases(1)[0], make_cases(2)[0]
    assert np.array_equal(first.inputs["noise"], again.inputs["noise"])
    assert not np.array_equal(first.inputs["noise"], other.inputs["noise"])


def test_goldens_hold_what_the_oracles_give(tmp_path: Path):
    """A change of an oracle, a case or the catalogue needs `python instructor/goldens.py`."""
    save_goldens(make_cases(SEED), tmp_path / "again.npz")
    stored, again = load_goldens(), load_goldens(tmp_path / "again.npz")
    assert [(c.part, c.config) for c in stored] == [(c.part, c.config) for c in again]
    for old, new in zip(stored, again, strict=True):
        for name in ("inputs", "expected", "suspects"):
            assert_same(getattr(old, name), getattr(new, name), f"{old.part} {old.config} {name}")


def test_saved_cases_come_back_as_they_were(tmp_path: Path):
    """Stored cases have the same names, types and values when they are loaded."""
    cases = make_cases(8)
    save_goldens(cases, tmp_path / "cases.npz")
    for before, after in zip(cases, load_goldens(tmp_path / "cases.npz"), strict=True):
        assert_same(before.inputs, after.inputs, before.part)
        whole = {"label", "t", "times"} & before.inputs.keys()
        whole -= {"t"} if before.part == "fm_loss" else set()  # a flow's time is continuous
        assert all(before.inputs[name].dtype == np.int64 for name in whole)


def test_mistakes_differ_from_the_right_answer_and_from_each_other():
    """No entry explains another's output, and each has a case in which it is told apart."""
    told, all_hints = set(), set()
    for case in (c for c in make_cases(9) if c.part in ("q_sample", "p_sample", "compute_loss")):
        right = {name: values for name, values in case.expected.items()}
        for hint, values in case.suspects.items():
            keys = set(values)
            steps = slice(1, None) if keys == {"step_sigma"} else slice(None)
            expected = {k: np.asarray(right[k]) for k in keys}
            if keys == {"step_sigma"}:
                expected["step_sigma"] = expected["step_sigma"][:, 0]
            assert any(
                not np.allclose(values[k][steps], expected[k][steps], rtol=1e-3, atol=1e-5)
                if np.ndim(values[k])
                else not np.isclose(values[k], expected[k], rtol=1e-3)
                for k in keys
            ), f"{case.part} {case.config}: {hint} is not a mistake"
            found = suspect(values, case.suspects, dict.fromkeys(keys, 1e-9))
            assert found in (hint.split(":")[0], ""), f"{case.config}: {hint} looks like {found}"
            all_hints.add((case.part, hint))
            told |= {(case.part, hint)} if found else set()
    assert told == all_hints


def test_every_hint_has_a_text():
    """Every hint that a mistake names is in hints.yaml."""
    named = {
        hint.split(":")[0]
        for table in (
            mistakes.Q_SAMPLE,
            mistakes.P_SAMPLE_MEAN,
            mistakes.P_SAMPLE_SIGMA,
            mistakes.COMPUTE_LOSS,
        )
        for hint in table
    }
    named |= {hint.split(":")[0] for case in make_bonus_cases(9) for hint in case.suspects}
    for file in (ROOT / "autograder" / "tests").glob("test_bonus_*.py"):
        named |= set(re.findall(r'"((?:ddim|edm|fid|nn|sd)_[a-z0-9_]+)"', file.read_text("utf-8")))
    named.remove("ddim_step")  # the function
    named |= {scenario.hint for scenario in scenarios("wrong")}
    assert not named - set(hints()), "hints.yaml lacks texts"


def test_gaussian_noise_passes_the_statistics():
    """4,000 fair draws, none of them accused."""
    random = np.random.default_rng(0)
    for shape in [(2, 1, 28, 28), (3, 2, 20, 12), (1, 2, 20, 12), (4, 4, 16, 16)]:
        for _ in range(1000):
            assert noise_fault(random.standard_normal(shape)) is None


@pytest.mark.parametrize(
    ("draw", "hint"),
    [
        (lambda r, s: r.uniform(0, 1, s), "noise_uniform"),
        (lambda r, s: r.uniform(-1.732, 1.732, s), "noise_uniform"),
        (lambda r, s: np.zeros(s), "noise_missing"),
        (lambda r, s: np.broadcast_to(r.standard_normal((1, *s[1:])), s), "noise_shared"),
        (lambda r, s: np.broadcast_to(r.standard_normal((s[0], 1, *s[2:])), s), "noise_shared"),
        (lambda r, s: np.broadcast_to(r.standard_normal((s[0], s[1], 1, s[3])), s), "noise_shared"),
        (lambda r, s: np.broadcast_to(r.standard_normal((*s[:3], 1)), s), "noise_shared"),
        (lambda r, s: 1.2 * r.standard_normal(s), "noise_not_standard"),
        (lambda r, s: 0.3 + r.standard_normal(s), "noise_not_standard"),
    ],
)
def test_other_noise_is_named(draw, hint):
    """Noise that is not standard normal is found, and by the right name, for many seeds."""
    for seed in range(50):
        noise = draw(np.random.default_rng(seed), (3, 2, 20, 12))
        assert noise_fault(noise)[1] == hint


def test_weights_are_measured_per_sample():
    """The weights of a mix of two known tensors are recovered for each sample."""
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 3, 1, 8, 8))
    mix = np.array([1.0, 2.0, 3.0])[:, None, None, None] * a - 0.5 * b
    found, rest = weights(mix, a, b)
    np.testing.assert_allclose(found, [[1, -0.5], [2, -0.5], [3, -0.5]])
    assert np.abs(rest).max() < 1e-12


def find(config: str, part: str):
    """The case of a part and configuration."""
    return next(c for c in core_cases() if (c.part, c.config) == (part, config))


def bonus_case(config: str, part: str):
    """The case of a bonus part and configuration."""
    return next(c for c in bonus_cases() if (c.part, c.config) == (part, config))


bonus_cases = functools.cache(lambda: make_bonus_cases(4))
core_cases = functools.cache(lambda: make_cases(4))


def assert_same(a: dict, b: dict, where: str) -> None:
    """Equal keys and names, and numbers equal within the precision they are stored in."""
    assert a.keys() == b.keys(), where
    for key in a:
        if isinstance(a[key], dict):
            assert_same(a[key], b[key], f"{where} {key}")
        elif np.asarray(a[key]).dtype.kind == "S":
            assert np.array_equal(a[key], b[key]), f"{where} {key}"
        else:
            rtol = 1e-6 if np.asarray(a[key]).dtype == np.float32 else 1e-9
            np.testing.assert_allclose(a[key], b[key], rtol=rtol, err_msg=f"{where} {key}")

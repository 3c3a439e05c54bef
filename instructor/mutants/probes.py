"""What a submission's code does, seen from outside: observations to compare with the reference's.

Each probe runs one graded part in this process, with doubles for whatever that part calls, and
returns {name: value}. Tensors must be those of the reference. Names with "~" are statistics of
random draws, which must be near those of independent standard normal numbers, since a right
submission may draw in any order. What comes between is computed here, in float64.
"""

import importlib
import itertools
import math
import types
import zlib
from typing import Any

import torch
from autograder.sandbox.wire import Channel
from autograder.worker import machine
from autograder.worker.values import pack
from torch import Tensor, nn

MODULES = "ddpm unet ddim edm fm stable_diffusion metrics.fid metrics.memorization".split()
MODULES += ["models.adaln", "models.dit"]
STEPS = 20
ODD_T = torch.tensor([0, STEPS - 1, 3, 11])
ODD_LABELS = torch.tensor([2, 0, 1, 2])
Observations = dict[str, Any]


class Schedule:
    """Betas and what follows from them, float64 [STEPS]; linear for pixels, else quadratic."""

    def __init__(self, latent: bool) -> None:
        first, last = (math.sqrt(0.00085), math.sqrt(0.012)) if latent else (1e-4, 0.02)
        betas = [first + (last - first) * i / (STEPS - 1) for i in range(STEPS)]
        self.beta = torch.tensor(betas, dtype=torch.float64) ** (2 if latent else 1)
        products = [math.prod((1 - self.beta[: i + 1]).tolist()) for i in range(STEPS)]
        self.bar = torch.tensor(products, dtype=torch.float64)
        before = torch.cat([torch.ones(1), self.bar[:-1]])
        self.variance = self.beta * (1 - before) / (1 - self.bar)

    def forward(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t of eq. 4."""
        bar = self.bar[t].view(-1, 1, 1, 1)
        return (bar.sqrt() * x + (1 - bar).sqrt() * noise).float()

    def noise_in(self, x_t: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The noise with which x_t was made from x."""
        bar = self.bar[t].view(-1, 1, 1, 1)
        return ((x_t - bar.sqrt() * x) / (1 - bar).sqrt()).float()

    def mean(self, x: Tensor, eps: Tensor, t: int) -> Tensor:
        """The mean of eq. 11, float64."""
        scaled = self.beta[t] / (1 - self.bar[t]).sqrt() * eps.double()
        return (x.double() - scaled) / (1 - self.beta[t]).sqrt()

    def noise_of_step(self, after: Tensor, before: Tensor, eps: Tensor, t: int) -> Tensor:
        """The noise a step has added, in units of whichever sigma of the paper is nearer."""
        added = after.double() - self.mean(before, eps, t)
        sigmas = torch.stack([self.beta[t].sqrt(), self.variance[t].sqrt()])
        return (added / sigmas[(sigmas - added.std()).abs().argmin()]).float()


class Denoiser(nn.Module):
    """A toy network that depends on all its inputs and its mode, and remembers its calls."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(scale))
        self.calls: list[dict[str, Tensor]] = []

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        shift = 0.3 * label + torch.sin(time.float())
        out = self.gain * (torch.tanh(x) + 0.3 * shift[:, None, None, None])
        out = out * (1.5 if self.training else 1.0)
        call = {"x": x, "label": label, "time": time, "out": out}
        self.calls.append({name: value.detach().clone() for name, value in call.items()})
        return out


class Encoder(nn.Module):
    """Images [B, 3, 8h, 8w] to latents [B, 4, h, w], not linear."""

    def forward(self, x: Tensor) -> Tensor:
        pooled = nn.functional.avg_pool2d(x**2 + 0.5 * x, 8)
        return 2 * torch.cat([pooled, 1 - pooled[:, :1]], dim=1)


class Decoder(nn.Module):
    """Latents [B, 4, h, w] to images [B, 3, 8h, 8w], not linear, with some overshoot."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.interpolate(x[:, :3] + 0.2 * x[:, 1:] ** 2 + 0.3, scale_factor=8)


def make(libs: Any, latent: bool = False, scale: float = 1.0) -> Any:
    """A submission's DDPM, in eval mode, with a toy network, and toy coders if latent."""
    shape = (3, 16, 24) if latent else (3, 4, 6)
    ddpm = libs.DDPM(shape, STEPS, 8, 8, 3, (1,), (), latent)
    ddpm.model = Denoiser(scale)
    if latent:
        ddpm.vae.encoder, ddpm.vae.decoder = Encoder(), Decoder()
    return ddpm.eval()


def stats(z: Tensor) -> Observations:
    """Statistics of [B, C, H, W]: 0 for the mean and 1 for the others, if standard normal."""
    moments = {"mean": z.mean(), "std": z.std(), "fourth": (z**4).mean() / z.var() ** 2 / 3}
    for name, dims in {"batch": (0,), "channels": (1,), "pixels": (1, 2, 3)}.items():
        count = math.prod(z.shape[d] for d in dims)
        moments[f"shared by the {name}"] = z.mean(dim=dims).std(correction=0) * math.sqrt(count)
    return {f"~{name}": float(value) for name, value in moments.items()}


def probe_q_sample(libs: Any) -> Observations:
    """Given noise, for batches of one, of as many as channels or pixels in a row; drawn noise."""
    ddpm, schedule, seen = make(libs), Schedule(latent=False), {}
    for batch in (1, 3, 4, 6):
        x, noise = 1.5 * torch.randn(2, batch, 3, 4, 6)
        seen[f"x_t of {batch}"] = ddpm.q_sample(x, ODD_T.repeat(2)[1 : batch + 1], noise)
        seen[f"inputs of {batch}"] = torch.stack([x, noise])
    x, t = 1.5 * torch.randn(400, 3, 4, 6), ODD_T.repeat(100)
    first, second = ddpm.q_sample(x, t), ddpm.q_sample(x, t)
    return {
        **seen,
        **stats(schedule.noise_in(first, x, t)),
        "draws again": not torch.equal(first, second),
    }


def probe_p_sample(libs: Any) -> Observations:
    """Step 0 exactly; at others the noise that was added. A loud network shows small faults."""
    seen: Observations = {}
    ddpm, schedule = make(libs, scale=300.0), Schedule(latent=False)
    buffers = {name: value.clone() for name, value in ddpm.named_buffers()}
    x, labels = 1.5 * torch.randn(600, 3, 4, 6), ODD_LABELS.repeat(150)
    given = x.clone()
    for t_index in (0, 1, 8, STEPS - 1):
        t = torch.full((600,), t_index)
        first, second = (ddpm.p_sample(x, labels, t, t_index) for _ in range(2))
        seen[f"type at {t_index}"] = str(first.dtype), tuple(first.shape)
        if t_index == 0:
            seen["x_0"] = first
        else:
            eps = ddpm.model.calls[-1]["out"]
            noise = schedule.noise_of_step(second, x, eps, t_index)
            seen |= {f"{name} at {t_index}": value for name, value in stats(noise).items()}
            seen[f"~mean of its product with x at {t_index}"] = float((noise * x).mean())
            seen[f"draws again at {t_index}"] = not torch.equal(first, second)
    same = [torch.equal(value, buffers[name]) for name, value in ddpm.named_buffers()]
    seen["nothing changed"] = all(same) and torch.equal(x, given)
    return {**seen, **asked(ddpm.model)}


def probe_p_sample_loop(libs: Any, latent: bool = False) -> Observations:
    """The chain in train mode, as the network sees it, be p_sample called or written out."""
    ddpm, schedule = make(libs, latent), Schedule(latent)
    steps: list[bool] = []

    def p_sample(self: Any, x: Tensor, label: Tensor, t: Tensor, t_index: int) -> Tensor:
        steps.append(type(t_index) is int and bool((t == t_index).all()))
        with torch.no_grad():
            mean = schedule.mean(x, self.model(x, label, t), int(t[0]))
            sigma = schedule.variance[t[0]].sqrt()
            return (mean + sigma * torch.randn_like(mean)).float() if t_index else mean.float()

    ddpm.train().p_sample = types.MethodType(p_sample, ddpm)
    labels = ODD_LABELS.repeat(30)
    images = ddpm.p_sample_loop(labels)
    calls = list(ddpm.model.calls)
    seen = {"labels": labels, "steps agree": all(steps), **without_x(asked(ddpm.model))}
    seen["mode"] = ddpm.training, ddpm.model.training
    seen |= {f"{name} of the start": value for name, value in stats(calls[0]["x"]).items()}
    added = [
        schedule.noise_of_step(after["x"], before["x"], before["out"], int(before["time"][0]))
        for before, after in itertools.pairwise(calls)
    ]
    seen |= {f"{name} of the steps": value for name, value in stats(torch.cat(added)).items()}
    last = schedule.mean(calls[-1]["x"], calls[-1]["out"], 0).float()
    expected = Decoder()(last) if latent else (last + 1) / 2
    seen["error of the images"] = images - expected.clamp(0, 1)
    again = ddpm.p_sample_loop(labels)
    return {**seen, "draws again": not torch.equal(images, again)}


def probe_compute_loss(libs: Any, latent: bool = False) -> Observations:
    """The loss and its gradient with given noise; what the network sees when it is drawn."""
    ddpm, schedule = make(libs, latent), Schedule(latent)

    def q_sample(self: Any, x_start: Tensor, t: Tensor, noise: Tensor | None = None) -> Tensor:
        noise = torch.randn_like(x_start) if noise is None else noise
        return schedule.forward(x_start, t, noise)

    ddpm.q_sample = types.MethodType(q_sample, ddpm)
    shape = (4, 2, 3) if latent else (3, 4, 6)
    x = torch.rand(4, 3, 16, 24) if latent else 1.5 * torch.randn(4, *shape)
    noise = torch.randn(4, *shape)
    inputs = x, noise, x.clone(), noise.clone()
    loss = ddpm.compute_loss(x, ODD_LABELS, ODD_T, noise)
    loss.backward()
    seen = {"loss": loss.detach(), "gradient": ddpm.model.gain.grad.clone(), **asked(ddpm.model)}
    seen["inputs stay"] = torch.equal(x, inputs[2]) and torch.equal(noise, inputs[3])

    x, t, labels = x.repeat(100, 1, 1, 1), ODD_T.repeat(100), ODD_LABELS.repeat(100)
    loss = ddpm.compute_loss(x, labels, t)
    call = ddpm.model.calls[-1]
    drawn = schedule.noise_in(call["x"], Encoder()(x) if latent else x, t)
    seen["error with drawn noise"] = loss.detach() - (call["out"] - drawn).pow(2).mean()
    return {**seen, **stats(drawn), **without_x(asked(ddpm.model))}


def probe_latent(libs: Any) -> Observations:
    """Loss and sampling with an autoencoder."""
    loss, loop = probe_compute_loss(libs, latent=True), probe_p_sample_loop(libs, latent=True)
    return {**{f"loss: {k}": v for k, v in loss.items()}, **loop}


def probe_unet(libs: Any) -> Observations:
    """Outputs and gradients of small networks with random weights."""
    seen: Observations = {}
    for mults, levels in (((1, 2), (0,)), ((1, 1, 1), (0, 1, 2)), ((1, 1), ())):
        unet = libs.UNet(8, 8, 3, in_channels=2, dim_mults=mults, attn_levels=levels)
        for name, p in sorted(unet.named_parameters()):
            draw = torch.Generator().manual_seed(len(name) * 1000 + p.numel())
            p.data = torch.randn(p.shape, generator=draw) * 0.3
        x = torch.randn(4, 2, 8, 12, requires_grad=True)
        out = unet(x, ODD_LABELS, ODD_T)
        (out * torch.linspace(-1, 1, out[0].numel()).view(out.shape[1:])).mean().backward()
        # An output joined along the batch would show here too: this is the size of the input.
        seen[f"output {mults}"] = out.detach()
        for name, p in sorted(unet.named_parameters()):
            scale = 1 if p.grad is None else p.grad.abs().max() + 1e-3
            seen[f"{mults} {name}"] = None if p.grad is None else p.grad / scale
        seen[f"gradient {mults}"] = x.grad
    return seen


def probe_bonus_sampling(libs: Any) -> Observations:
    """Steps of DDIM, and two walks with a toy network and noise that is counted."""
    seen: Observations = {}
    x, eps, noise = torch.randn(3, 2, 1, 4, 5)
    for bars in ((0.01, 0.2), (0.5, 0.9), (0.9, 1.0)):
        for options in ({}, {"eta": 0.7, "noise": noise}, {"clip_x0": True}):
            given = x.clone()
            name = f"step {bars} {sorted(options)}"
            seen[name] = libs.ddim.ddim_step(given, eps, *bars, **options)
            seen[f"{name} leaves x"] = given
    bar, times = torch.linspace(0.99, 0.01, 30), [29, 20, 11, 3]
    for options in ({}, {"eta": 0.7, "clip_x0": True, "final_alpha_bar": 0.995}):
        reports: list[Any] = []
        drawn = iter(torch.randn(9, *x.shape))

        def network(x: Tensor, t: Tensor, reports: list[Any] = reports) -> Tensor:
            reports.append(t)
            return torch.tanh(x + 0.1 * t.view(-1, 1, 1, 1))

        found = libs.ddim.sample_ddim(
            network,
            x,
            bar,
            times,
            draw_noise=lambda x, drawn=drawn: next(drawn),
            on_step=lambda i, x, reports=reports: reports.extend([i, x]),
            **options,
        )
        seen[f"walk {sorted(options)}"] = found
        seen |= {f"report {i} {sorted(options)}": value for i, value in enumerate(reports)}
    return seen


def probe_bonus_edm(libs: Any) -> Observations:
    """Denoising at unlike noise levels, the loss and its gradient, and steps down to 0."""
    edm = libs.edm.EDM((3, 4, 6), 8, 8, 3, (1,), (), sigma_data=0.8).eval()
    edm.model = Denoiser()
    sigma = torch.tensor([0.02, 30.0, 0.7, 3.0])
    y, noise = torch.randn(2, 4, 3, 4, 6)
    x = y + sigma.view(-1, 1, 1, 1) * noise
    given = [value.clone() for value in (x, y, noise)]
    seen = {"denoised": edm.denoise(given[0], ODD_LABELS, sigma)}
    seen["denoised"].sum().backward()
    seen["gradient of denoise"], edm.model.gain.grad = edm.model.gain.grad.clone(), None
    seen |= {f"{name} of denoise": value for name, value in asked(edm.model).items()}
    edm.model.calls.clear()

    def denoise(self: Any, x: Tensor, label: Tensor, sigma: Tensor) -> Tensor:
        s = sigma.double().view(-1, 1, 1, 1)
        size = (s**2 + 0.8**2).sqrt()
        answer = self.model((x / size).float(), label, sigma.log() / 4)
        return (0.64 / size**2 * x + 0.8 * s / size * answer).float()

    edm.denoise = types.MethodType(denoise, edm)
    seen["loss"] = edm.compute_loss(given[1], ODD_LABELS, sigma, given[2])
    seen["loss"].backward()
    seen["gradient"] = edm.model.gain.grad.clone()
    seen |= asked(edm.model)
    edm.compute_loss(y.repeat(100, 1, 1, 1), ODD_LABELS.repeat(100), sigma.repeat(100))
    total = (sigma**2 + 0.64).sqrt().repeat(100).view(-1, 1, 1, 1)
    drawn = edm.model.calls[-1]["x"] * total - y.repeat(100, 1, 1, 1)
    seen |= stats((drawn / sigma.repeat(100).view(-1, 1, 1, 1))[1::2])
    for t, t_next in ((20.0, 7.0), (0.9, 0.3), (0.05, 0.0)):
        levels: list[float] = []

        def toy(x: Tensor, sigma: float, levels: list[float] = levels) -> Tensor:
            levels.append(float(sigma))
            return torch.tanh(x) * 0.9 / (1 + float(sigma))

        seen[f"step from {t}"] = libs.edm.heun_step(toy, given[0], t, t_next)
        seen[f"levels from {t}"] = torch.tensor(levels)
    seen["inputs stay"] = all(map(torch.equal, given, (x, y, noise)))
    return seen


def make_flow(libs: Any, latent: bool = False, **options: Any) -> Any:
    """A submission's FM of five steps, in eval mode, with toys for network and coders."""
    shape = (3, 16, 24) if latent else (3, 4, 6)
    flow = libs.fm.FM(shape, 5, 8, 8, 3, (1,), (), latent, **options)
    flow.model = Denoiser()
    if latent:
        flow.vae.encoder, flow.vae.decoder = Encoder(), Decoder()
    return flow.eval()


def probe_fm_loss(libs: Any) -> Observations:
    """The loss and its gradient at given times and noise; times and noise that are drawn."""
    seen: Observations = {}
    for latent in (False, True):
        flow, shape = make_flow(libs, latent), (4, 2, 3) if latent else (3, 4, 6)
        x = torch.rand(4, 3, 16, 24) if latent else 1.5 * torch.randn(4, *shape)
        t, noise = torch.tensor([0.0, 0.9, 0.3, 1.0]), torch.randn(4, *shape)
        given = [value.clone() for value in (x, t, noise)]
        loss = flow.compute_loss(given[0], ODD_LABELS, given[1], given[2])
        loss.backward()
        found = {"loss": loss.detach(), "gradient": flow.model.gain.grad.clone()}
        found |= asked(flow.model)
        found["inputs stay"] = all(map(torch.equal, given, (x, t, noise)))
        x, t, labels = x.repeat(100, 1, 1, 1), 0.8 * t.repeat(100), ODD_LABELS.repeat(100)
        loss = flow.compute_loss(x, labels, t)
        call, clean = flow.model.calls[-1], Encoder()(x) if latent else x
        s = t.view(-1, 1, 1, 1)
        drawn = (call["x"] - s * clean) / (1 - s)
        found["error"] = loss.detach() - (call["out"] - clean + drawn).pow(2).mean()
        found |= {**stats(drawn), **without_x(asked(flow.model))}
        seen |= {f"{name}, latent {latent}": value for name, value in found.items()}
    for option in (None, (0.4, 0.7)):
        flow = make_flow(libs, logit_normal=option)
        x, noise = torch.rand(2, 4000, 3, 4, 6)
        flow.compute_loss(x, torch.zeros(4000, dtype=torch.long), None, noise)
        call = flow.model.calls[-1]
        t = call["time"].double()
        z = torch.special.ndtri(t) if option is None else (t.logit() - 0.4) / 0.7
        found = stats(z[:, None, None, None])
        seen |= {f"{n} of times {option}": found[n] for n in ("~mean", "~std", "~fourth")}
        s = call["time"].view(-1, 1, 1, 1)
        seen[f"error of the mix {option}"] = call["x"] - s * x - (1 - s) * noise
        seen[f"different times {option}"] = len(t.unique()) > 3900
        flow.compute_loss(x, torch.zeros(4000, dtype=torch.long), None, noise)
        seen[f"draws again {option}"] = not torch.equal(flow.model.calls[-1]["time"], call["time"])
    return seen


def probe_fm_generate(libs: Any) -> Observations:
    """Five Euler steps, as the network sees them; the start; the pictures."""
    seen: Observations = {}
    for latent in (False, True):
        flow = make_flow(libs, latent).train()
        labels = ODD_LABELS.repeat(30)
        images = flow.generate(labels)
        calls = list(flow.model.calls)
        found = {"labels": labels, **without_x(asked(flow.model))}
        found["mode"] = flow.training, flow.model.training
        found |= stats(calls[0]["x"])
        ends = [call["x"].double() + call["out"].double() / 5 for call in calls]
        found |= {f"error {i}": (call["x"] - end).float()
                  for i, (call, end) in enumerate(zip(calls[1:], ends, strict=False))}  # fmt: skip
        last = ends[-1].float()
        expected = Decoder()(last) if latent else (last + 1) / 2
        found["error of the images"] = images - expected.clamp(0, 1)
        found["draws again"] = not torch.equal(images, flow.generate(labels))
        seen |= {f"{name}, latent {latent}": value for name, value in found.items()}
    return seen


def probe_bonus_evaluation(libs: Any) -> Observations:
    """Gaussians of many and of few images, their distances, and ratios with copies among them."""
    seen: Observations = {}
    for n, d in ((60, 5), (6, 24)):
        first = 2 + 0.5 * torch.randn(n, d)
        mean, cov = libs.fid.statistics(first)
        seen |= {f"mean {n}": mean, f"cov {n}": cov}
        second = 3 + 0.7 * torch.randn(n, d).double()
        own = first.double().mean(dim=0), first.double().T.cov()
        other = second.mean(dim=0), second.T.cov()
        distance = torch.as_tensor(libs.fid.frechet_distance(*own, *other))
        seen[f"distance {n}"] = distance if distance.is_complex() else distance.double()
    train, samples = torch.randn(40, 2, 3, 4), torch.randn(9, 2, 3, 4)
    samples[4] = train[7]
    seen["ratios"] = libs.memorization.nearest_neighbour_ratio(samples, train)
    return seen


def probe_bonus_scaling(libs: Any) -> Observations:
    """The UNet with moved weights, names of two layouts, guidance in half precision, a walk.

    The walk takes steps of DDIM that are right, whatever the submission's are.
    """
    sd = libs.stable_diffusion
    seen: Observations = {}
    for blocks, mults in ((1, (1, 2)), (2, (1, 1, 2))):
        options = {"res_blocks": blocks, "num_heads": 2, "num_groups": 4}
        unet = sd.StableDiffusionUNet(8, 6, 3, mults, (0,), **options).eval()
        for p in unet.parameters():
            p.data += 0.2 * torch.randn_like(p)
        given = torch.randn(2, 3, 8, 12), torch.randn(2, 5, 6), torch.tensor([700, 3])
        seen[f"unet {blocks}"] = unet(given[0].clone(), *given[1:]).detach()
        for name in names_of_levels(blocks):
            seen[f"{blocks} {name}"] = sd.rename(name, blocks)
    for name in ("time_embed.2.bias", "out.2.weight", "middle_block.1.norm.bias"):
        seen[name] = sd.rename(name)
    try:
        seen["foreign"] = sd.rename("encoder.0.0.in_layers.0.weight")
    except (ValueError, LookupError):
        seen["foreign"] = "refused"
    calls: list[Tensor] = []

    def network(x: Tensor, context: Tensor, time: Tensor) -> Tensor:
        calls.append(time)
        moved = torch.tanh(
            x * context.mean(dim=(1, 2)).view(-1, 1, 1, 1) + context[:, :1, :4, None]
        )
        return (moved + time.view(-1, 1, 1, 1) / 50).half()

    x, context, negative = torch.randn(3, 1, 4, 2), torch.randn(3, 5, 6), torch.randn(3, 5, 6)
    t = torch.tensor([7, 3, 30])
    for dtype in (torch.float32, torch.float64):
        guided = sd.guided_eps(network, x.to(dtype), t, context, negative, 7.5)
        seen[f"guided {dtype}"] = guided
    seen |= {f"call {i}": len(call) for i, call in enumerate(calls)}
    alpha_bars, reports, start = torch.linspace(0.97, 0.02, 40), [], x.clone()
    times = [35, 22, 4]
    sd.ddim_step = ddim_step
    seen["walk"] = sd.sample_guided(
        network, start, context, negative, alpha_bars, times, 3.0,
        on_step=lambda i, x: reports.append(i * x.clone()),
    )  # fmt: skip
    seen |= {f"report {i}": value for i, value in enumerate(reports)}
    seen["x stays"] = torch.equal(start, x)
    seen["whole times"] = not any(time.is_floating_point() for time in calls)
    return seen


def probe_dit(libs: Any) -> Observations:
    """Patches, modulation, a block and the whole network with random weights, and fresh ones."""
    x, tokens, emb = torch.randn(3, 2, 6, 10), torch.randn(3, 15, 8), torch.randn(3, 8)
    shift, scale = torch.randn(2, 3, 8)
    label, time = torch.tensor([3, 0, 1]), ODD_T[:3] * 40
    network = libs.dit.DiT(8, 8, 4, 2, depth=2, num_heads=2, patch_size=2).eval()
    given = [value.clone() for value in (x, tokens, emb)]
    lone = libs.adaln.AdaLNBlock(8, 8, 2)
    seen = {"fresh": network(x, label, time), "fresh lone block": lone(tokens.clone(), emb)}
    seen["fresh block"] = network.blocks[1](tokens.clone(), emb)
    for name, parameter in network.named_parameters():
        own = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        parameter.data = 0.4 * torch.randn(parameter.shape, generator=own)
    seen |= {"tokens": network.patchify(x), "images": network.unpatchify(tokens, 3, 5)}
    seen["modulated"] = libs.adaln.modulate(tokens, shift, scale)
    doubles = (value.double() for value in (given[1], shift, scale))
    seen["modulated in double"] = libs.adaln.modulate(*doubles)
    seen["block"] = network.blocks[0](tokens, emb)
    seen["whole"] = network(x, label, time)
    for result in (seen["block"], seen["whole"]):
        (result * torch.linspace(0, 1, result.numel()).view(result.shape)).sum().backward()
    named = network.named_parameters()
    # softmax does not see what all keys share: what reaches to_k's bias is rounding
    found = {n: p.grad for n, p in named if p.grad is not None and "to_k.bias" not in n}
    seen |= {f"gradient of {n}": grad / (1 + grad.norm()) for n, grad in found.items()}
    seen = {name: value.detach() for name, value in seen.items()}
    return seen | {"inputs stay": all(map(torch.equal, (x, tokens, emb), given))}


def ddim_step(
    x: Tensor,
    eps: Tensor,
    alpha_bar: float,
    alpha_bar_next: float,
    *,
    eta: float = 0.0,
    noise: Tensor | None = None,
    clip_x0: bool = False,
) -> Tensor:
    """The double of libs.ddim's, for steps without noise and without clipping; no others."""
    if eta or clip_x0:
        return torch.full_like(x, math.nan)
    bar, following = float(alpha_bar), float(alpha_bar_next)  # they may be tensors
    x_0 = (x.double() - math.sqrt(1 - bar) * eps.double()) / math.sqrt(bar)
    return (math.sqrt(following) * x_0 + math.sqrt(1 - following) * eps.double()).to(x.dtype)


def names_of_levels(blocks: int) -> list[str]:
    """Some of CompVis's names in two levels of so many residual blocks, with and without attention.

    An Upsample without a transformer before it is the second part of its block, else the third.
    """
    names = ["input_blocks.0.0.weight", f"input_blocks.{blocks + 1}.0.op.weight"]
    for n in (*range(1, blocks + 1), *range(blocks + 2, 2 * blocks + 2)):
        names += [f"input_blocks.{n}.0.in_layers.0.weight", f"input_blocks.{n}.1.proj_in.bias"]
    for n in range(2 * (blocks + 1)):
        names += [f"output_blocks.{n}.0.out_layers.0.bias", f"output_blocks.{n}.1.norm.weight"]
    return [*names, *(f"output_blocks.{blocks}.{k}.conv.bias" for k in (1, 2))]


def asked(model: Denoiser) -> Observations:
    """What the network was asked, call by call."""
    return {f"{name} {i}": call[name] for i, call in enumerate(model.calls) for name in call}


def without_x(seen: Observations) -> Observations:
    """Observations that do not depend on random draws."""
    return {name: value for name, value in seen.items() if not name.startswith(("x", "out"))}


PROBES = {
    "unet": probe_unet,
    "q_sample": probe_q_sample,
    "p_sample": probe_p_sample,
    "p_sample_loop": probe_p_sample_loop,
    "compute_loss": probe_compute_loss,
    "latent": probe_latent,
    "fm_loss": probe_fm_loss,
    "fm_generate": probe_fm_generate,
    "bonus_evaluation": probe_bonus_evaluation,
    "bonus_sampling": probe_bonus_sampling,
    "bonus_edm": probe_bonus_edm,
    "bonus_scaling": probe_bonus_scaling,
    "dit": probe_dit,
}


def imported() -> types.SimpleNamespace:
    """The modules of the `libs` that Python finds first, and DDPM and UNet beside them."""
    libs = {name.split(".")[-1]: importlib.import_module(f"libs.{name}") for name in MODULES}
    return types.SimpleNamespace(**libs, DDPM=libs["ddpm"].DDPM, UNet=libs["unet"].UNet)


def serve(channel: Channel, code_folder: str) -> None:
    """In a worker of the sandbox: receive {"part", "seed"}, and send what its probe observes."""
    machine.furnish(code_folder)
    asked_for = channel.receive()
    try:
        seen = observe(imported(), **asked_for)
    except Exception as error:
        seen = {"raised": f"{type(error).__name__}: {error}"}
    channel.send({name: pack(value) for name, value in seen.items()})


def observe(libs: Any, part: str, seed: int = 0) -> Observations:
    """Run one probe with a fixed seed; what a submission raises is an observation."""
    torch.manual_seed(seed)
    try:
        return PROBES[part](libs)
    except Exception as error:
        return {"raised": f"{type(error).__name__}: {error}"}


def differences(seen: Observations, expected: Observations) -> list[str]:
    """Names of the observations that are not as expected."""
    return [
        name
        for name in sorted(seen.keys() | expected.keys())
        if name not in seen or name not in expected or not alike(name, seen[name], expected[name])
    ]


def alike(name: str, value: Any, expected: Any) -> bool:
    """Whether an observation is as expected, within what float32 or a draw allows.

    A schedule computed in float32 puts sqrt(1 - alpha_bar) off by up to 3e-4 of its size at t = 0.
    """
    if "~" in name:
        near = {"~mean": 0.1, "~std": 0.12 if "start" in name else 0.05, "~fourth": 0.25}
        tolerance = next((t for kind, t in near.items() if kind in name), 0.6)
        return abs(value - (0 if "~mean" in name else 1)) < tolerance
    if not isinstance(value, Tensor) or not isinstance(expected, Tensor):
        return type(value) is type(expected) and value == expected
    if value.dtype != expected.dtype or value.shape != expected.shape:
        return False
    tolerance = 2e-3 if name == "x_0" or "error" in name else 2e-5
    return torch.allclose(value, expected, rtol=1e-4, atol=tolerance)

"""Drawing samples, batch by batch, with the model's own chain or a faster sampler; and films."""

import functools
import importlib
import math
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from . import heun_flags
from .config import TrainConfig
from .config_checks import HAVE_ETA
from .ddpm import DDPM
from .edm import EDM, Heun, heun_step, sample_heun
from .guidance import guided, parse_scale
from .models.variants import null_label
from .progress import progress_bar
from .runtime import Precision, fork_rng, generator_for
from .schedules import time_grid
from .utils import UserError, check_result, default, did_you_mean, first_argument

SAMPLERS = {"ddpm": "ancestral", "ddim": "ddim", "dpm++": "dpm_solver"}  # files of this folder
OF_DDPM = ("own", *SAMPLERS)
SAMPLE_STREAM = 3  # keeps the samples' random numbers apart from those of training

OnState = Callable[[int, Tensor], None]  # steps left, state [B, C, H, W]


@dataclass(frozen=True)
class Sampler:
    """How samples are drawn.

    Args:
        name: "own" for the model's p_sample_loop, or one of `SAMPLERS`; "heun" for an EDM, whose
            "own" is the same with the settings of its config.
        steps: how many time steps to visit; None for all of them, or for an EDM's own number.
        eta: the noise of those in `HAVE_ETA`, 0 .. 1.
        spacing: which time steps to visit, see `schedules.time_grid`.
        guidance: scale of classifier-free guidance, see `guidance.Guided`; None for no guidance.
        heun: noise levels and churn of "heun"; None for the EDM's own.
    """

    name: str = "own"
    steps: int | None = None
    eta: float = 0.0
    spacing: str = "trailing"
    guidance: float | None = None
    heun: Heun | None = None

    @classmethod
    def of_run(cls, train: TrainConfig) -> "Sampler":
        """The sampler of a run's pictures, as the keys from `train_cfg.sampler` on say."""
        eta = default(train.sampler_eta, cls.eta)
        return cls(
            default(train.sampler, cls.name), train.sampler_steps, eta, guidance=train.guidance
        )

    @classmethod
    def of_scores(cls, train: TrainConfig) -> "Sampler":
        """The sampler of a run's scores: `train_cfg.eval_sampler`, or that of its pictures."""
        if train.eval_sampler is None:
            return cls.of_run(train)
        return cls(train.eval_sampler, train.eval_steps, guidance=train.guidance)

    @classmethod
    def from_args(
        cls, args: Namespace, model: DDPM | EDM, of_run: "Sampler | None" = None
    ) -> "Sampler":
        """The sampler that the flags of `cli.add_sampler_flags` describe.

        What they do not say is as in `of_run`, the run's own sampler; its steps and eta are for no
        other sampler.

        Raises UserError for flags that are wrong, or that do not fit each other or the model.
        """
        usual = default(of_run, cls())
        name = default(args.sampler, usual.name)
        if name != usual.name:
            usual = cls(name, guidance=usual.guidance)
        sampler = cls(
            name,
            default(args.steps, usual.steps),
            default(args.eta, usual.eta),
            default(args.spacing, cls.spacing),
            usual.guidance if args.guidance is None else _scale(args.guidance, model),
        )
        _check_name(sampler.name, model)
        if isinstance(model, EDM):
            _check_flags_of_edm(args, name)
            if args.steps is not None and args.steps < 1:
                raise UserError(f"--steps: heun takes at least 1 step, not {args.steps}")
            return replace(sampler, heun=heun_flags.read(args, model.heun)).resolved(model)
        _check_flags_of_ddpm(args, name, model)
        if not 0 <= sampler.eta <= 1:
            raise UserError(f"--eta: the noise goes from 0 (none) to 1 (as ddpm), not {args.eta:g}")
        sampler.times(model)
        sampler.function()
        return sampler

    @classmethod
    def sweep_from_args(
        cls, args: Namespace, model: DDPM | EDM, of_run: "Sampler | None" = None
    ) -> "list[Sampler]":
        """As from_args, but --guidance may give several scales, as in 0,3,7: a sampler for each."""
        if args.guidance is None:
            return [cls.from_args(args, model, of_run)]
        sampler = cls.from_args(Namespace(**vars(args) | {"guidance": None}), model, of_run)
        return [replace(sampler, guidance=_scale(s, model)) for s in args.guidance.split(",")]

    def resolved(self, model: DDPM | EDM) -> "Sampler":
        """With what an EDM decides filled in: its own sampler is heun as its config has it."""
        if not isinstance(model, EDM):
            return self
        return replace(
            self,
            name="heun" if self.name == "own" else self.name,
            steps=default(self.steps, model.steps),
            heun=default(self.heun, model.heun),
        )

    def num_steps(self, model: DDPM | EDM) -> int:
        """How many steps a resolved sampler takes."""
        return self.steps if self.name == "heun" else len(self.times(model))

    def times(self, model: DDPM) -> list[int]:
        """The time steps that the sampler visits, descending; UserError where there are none."""
        steps = default(self.steps, model.timesteps)
        alphas_cumprod = alpha_bars(model)
        return time_grid(model.timesteps, steps, self.spacing, alphas_cumprod=alphas_cumprod)

    def function(self) -> Callable[..., Tensor]:
        """What draws with this sampler; UserError where this edition does not have it."""
        if self.name == "own":
            return DDPM.p_sample_loop
        module = SAMPLERS[self.name]
        try:
            found = importlib.import_module(f".{module}", __package__)
        except ModuleNotFoundError:
            raise UserError(
                f"--sampler: {self.name} is not part of this edition, code/libs/{module}.py is "
                "missing; use own or ddim"
            ) from None
        return getattr(found, f"sample_{module}")

    def check_written(self, model: DDPM | EDM) -> None:
        """Refuse a sampler that is missing, or still to be written: now, not after an epoch."""
        if isinstance(model, EDM) or self.name == "own":
            return
        nothing = torch.zeros(1, 1, 1, 1)
        times = replace(self, steps=1).times(model)
        try:
            self.function()(lambda x, t: x, nothing, alpha_bars(model), times)
        except NotImplementedError:
            raise UserError(
                f"the sampler {self.name} is not written yet, code/libs/{SAMPLERS[self.name]}.py: "
                "do that first, or set 'train_cfg.sampler' and 'train_cfg.eval_sampler' to own, "
                "and their steps to null"
            ) from None

    def __str__(self) -> str:
        steps = "all steps" if self.steps is None else f"{self.steps} steps"
        parts = [self.name, steps]
        parts += [self.spacing] if self.spacing != Sampler.spacing else []
        parts += [f"eta {self.eta:g}"] if self.name in HAVE_ETA else []
        parts += heun_flags.text(self.heun) if self.heun is not None else []
        parts += [f"guidance {self.guidance:g}"] if self.guidance is not None else []
        return ", ".join(parts)


def alpha_bars(model: DDPM) -> Tensor:
    """alpha_bar of all time steps in double precision on the CPU, [T]."""
    return (1 - model.betas.cpu().double()).cumprod(dim=0)


def _check_name(name: str, model: DDPM | EDM) -> None:
    """Refuse a sampler that there is not, or not for this model."""
    kind, known = ("an EDM", ("own", "heun")) if isinstance(model, EDM) else ("a DDPM", OF_DDPM)
    if name in known:
        return
    choices = f"choose from {', '.join(known)}"
    if name in (*OF_DDPM, "heun"):
        raise UserError(
            f"--sampler: {name} cannot draw from this model, which is {kind}; {choices}"
        )
    hint = did_you_mean(name, known) or f"; {choices}"
    raise UserError(f"--sampler: there is no sampler '{name}'{hint}")


def _check_flags_of_ddpm(args: Namespace, name: str, model: DDPM) -> None:
    """Refuse flags of a sampler that is not the one chosen."""
    for flag in heun_flags.given(args):
        raise UserError(f"{flag}: only heun has it, and this model is a DDPM; leave it out")
    if name == "own":
        for flag, value in (("--steps", args.steps), ("--spacing", args.spacing)):
            if value is not None:
                raise UserError(
                    f"{flag}: the model's own p_sample_loop visits all of its "
                    f"{model.timesteps} time steps; add --sampler ddim, ddpm or dpm++"
                )
    if args.eta is not None and name not in HAVE_ETA:
        raise UserError("--eta: only ddim and dpm++ have it; add --sampler ddim")


def _check_flags_of_edm(args: Namespace, name: str) -> None:
    """Refuse flags of a DDPM's samplers, and any for the settings of the config."""
    for flag, value in (("--eta", args.eta), ("--spacing", args.spacing)):
        if value is not None:
            raise UserError(
                f"{flag}: heun does not have it, and this model is an EDM; leave it out"
            )
    if name == "own":
        for flag in (["--steps"] if args.steps is not None else []) + heun_flags.given(args):
            raise UserError(
                f"{flag}: the model's own sampler has the settings of its config; add "
                "--sampler heun"
            )


def _scale(text: str, model: DDPM | EDM) -> float:
    """The scale of guidance that a flag gives, for a model that knows guidance."""
    scale = parse_scale(text)
    if not getattr(model.model, "conditional", True):
        raise UserError("--guidance: the model was trained without labels, nothing can guide it")
    if null_label(model) is None:
        raise UserError(
            "--guidance: the model has learned nothing without labels to compare with; train one "
            "with --set model.label_dropout=0.1"
        )
    return scale


def spread_evenly(number: int, total: int) -> Tensor:
    """So many of the classes 0 .. total - 1, at most all of them, int64."""
    number = min(number, total)
    return torch.arange(number) * total // number


class Film:
    """Records the chain of the first few samples of a batch, x_T ... x_0, as images in [0, 1]."""

    def __init__(self, model: DDPM | EDM, num_samples: int = 10, num_frames: int = 60):
        self.model = model
        self.num_samples = num_samples
        self.num_frames = num_frames
        self.frames: list[Tensor] = []  # [num_samples, C, H, W] each

    @torch.no_grad()
    def record(self, left: int, steps: int, x: Tensor) -> None:
        """Take a frame if x, the state with so many of the steps left, is one to show."""
        shown = {round(i * steps / (self.num_frames - 1)) for i in range(self.num_frames)}
        if left in shown and len(self.frames) < len(shown):
            x = x[: self.num_samples]
            x = self.model.vae.decoder(x) if self.model.use_vae else x
            self.frames.append(self.model.postprocess(x).float().cpu())


@contextmanager
def watch_chain(model: DDPM, on_state: OnState) -> Iterator[None]:
    """Within this context call on_state(time, x) for x_T and for the result of each p_sample."""
    p_sample = model.p_sample
    seen = 0

    @functools.wraps(p_sample)
    def watched(*args, **kwargs) -> Tensor:
        nonlocal seen
        __tracebackhide__ = True  # for cli.py, too
        x = first_argument(p_sample, args, kwargs)
        if seen % model.timesteps == 0:
            on_state(model.timesteps, x)
        seen += 1
        shape = getattr(x, "shape", None)
        x = check_result(p_sample(*args, **kwargs), p_sample, "x_{t-1}", shape)
        on_state(model.timesteps - 1 - (seen - 1) % model.timesteps, x)
        return x

    model.p_sample = watched  # shadows the method on this instance
    try:
        yield
    finally:
        del model.p_sample


def draw_samples(
    model: DDPM | EDM,
    labels: Tensor,
    precision: Precision,
    seed: int = 0,
    batch_size: int = 100,
    film: Film | None = None,
    show_progress: bool = True,
    sampler: Sampler = Sampler(),
    first: int = 0,
) -> Iterator[Tensor]:
    """Draw one image for each label, counted from number `first`.

    The random numbers of image i follow from (seed, i), so that it is the same in a batch of any
    size and in any process. The model's own loop draws for a whole batch: there the images follow
    from (seed, number of the batch), and `first` must be a multiple of the batch size. torch's
    random state stays as it was.

    Yields:
        Images in [0, 1] on the CPU, [batch_size, C, H, W], the last batch maybe smaller.

    Raises:
        UserError: the sampler takes steps that the model does not have.
    """
    sampler = sampler.resolved(model)
    if sampler.name == "own" and first % batch_size:
        raise ValueError(f"first = {first} is no multiple of the batch size {batch_size}")
    batches = labels.to(precision.device).split(batch_size)
    steps = sampler.num_steps(model)
    with progress_bar(steps * len(batches), "sampling", "step", enabled=show_progress) as bar:
        for number, batch in enumerate(batches):

            def on_state(left: int, x: Tensor, filmed: bool = number == 0) -> None:
                if film is not None and filmed:
                    film.record(left, steps, x)
                bar.update(int(left < steps))

            begin = first + number * batch_size
            with guided(model, sampler.guidance):
                if sampler.name == "own":
                    images = _own_chain(
                        model, batch, precision, seed + begin // batch_size, on_state
                    )
                else:
                    generators = [
                        generator_for(seed, SAMPLE_STREAM, i, device=precision.device)
                        for i in range(begin, begin + len(batch))
                    ]
                    images = _chain(model, batch, precision, sampler, generators, on_state)
            yield images.float().cpu()


def _own_chain(
    model: DDPM, labels: Tensor, precision: Precision, seed: int, on_state: OnState
) -> Tensor:
    """Images [B, C, H, W] in [0, 1] from the model's p_sample_loop."""
    with watch_chain(model, on_state), fork_rng(seed, precision.device), precision.autocast():
        images = model.p_sample_loop(labels)
    shape = ("C", "H", "W") if model.use_vae else model.img_shape
    return check_result(images, model.p_sample_loop, "images", (len(labels), *shape))


@torch.no_grad()
def _chain(
    model: DDPM | EDM,
    labels: Tensor,
    precision: Precision,
    sampler: Sampler,
    generators: list[torch.Generator],
    on_state: OnState,
) -> Tensor:
    """Images [B, C, H, W] in [0, 1] from a sampler, the states in float32."""

    def draw_noise(x: Tensor) -> Tensor:
        return torch.stack(
            [torch.randn(x.shape[1:], generator=g, device=g.device) for g in generators]
        )

    noise = draw_noise(torch.empty(len(labels), *model.img_shape))
    walk = _walk_down_sigma if sampler.name == "heun" else _walk_back_in_time
    x = walk(model, labels, precision, sampler, noise, draw_noise, on_state)
    if model.use_vae:
        with precision.autocast():
            x = model.vae.decoder(x)
    return model.postprocess(x)


def _walk_back_in_time(
    model: DDPM,
    labels: Tensor,
    precision: Precision,
    sampler: Sampler,
    x: Tensor,
    draw_noise: Callable[[Tensor], Tensor],
    on_state: OnState,
) -> Tensor:
    """From noise to x_0, over time steps of a DDPM."""

    def eps_model(x: Tensor, t: Tensor) -> Tensor:
        with precision.autocast():
            eps = model.model(x, labels, t)
        return check_result(eps, model.model, "the noise", x.shape).float()

    times, shape = sampler.times(model), x.shape
    function = sampler.function()
    on_state(len(times), x)

    def on_step(i: int, x: Tensor) -> None:
        check_result(x, function, "the state after a step", shape, did="gave on_step")
        on_state(len(times) - 1 - i, x)

    x = function(
        eps_model,
        x,
        alpha_bars(model),
        times,
        clip_x0=not model.use_vae,  # only pixels have known bounds
        draw_noise=draw_noise,
        on_step=on_step,
        **({"eta": sampler.eta} if sampler.name in HAVE_ETA else {}),
    )
    return check_result(x, function, "x_0", shape)


def _walk_down_sigma(
    model: EDM,
    labels: Tensor,
    precision: Precision,
    sampler: Sampler,
    noise: Tensor,
    draw_noise: Callable[[Tensor], Tensor],
    on_state: OnState,
) -> Tensor:
    """From noise to clean images or latents, down the noise levels of an EDM."""
    steps, sigma_data = sampler.steps, model.sigma_data.item()
    sigmas = sampler.heun.sigmas(steps)

    def denoise(x: Tensor, sigma: float) -> Tensor:
        with precision.autocast():
            found = model.denoise(x, labels, torch.full((len(x),), sigma, device=x.device))
        return check_result(found, model.denoise, "images without noise", x.shape).float()

    def show(i: int, x: Tensor) -> None:
        """Pass on a state as large as the data, whatever its noise level, so that it can be seen"""
        on_state(steps - i, x * (sigma_data / math.hypot(sigma_data, sigmas[i])))

    show(0, sigmas[0] * noise)
    return sample_heun(
        denoise,
        noise,
        steps,
        sampler.heun,
        draw_noise=draw_noise,
        on_step=lambda i, x: show(i + 1, check_result(x, heun_step, "images", noise.shape)),
    )

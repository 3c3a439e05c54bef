"""Which sampler draws, in how many steps, and by which settings: what keys and flags say."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ..config import TrainConfig
from ..edm import Heun, sample_heun
from ..models.denoisers import Denoiser, denoiser_of
from ..models.variants import null_label
from ..settings.checks import HAVE_ETA
from ..utils import NOT_ASKED, UserError, default, did_you_mean
from .flags import SamplerFlags
from .guidance import parse_scale
from .heun import changed_heun, text_of_heun

SAMPLERS = {
    "ddpm": "samplers/ancestral",
    "ddim": "ddim",
    "dpm++": "samplers/dpm_solver",
    "deis": "samplers/deis",
}
NAMES = ("own", *SAMPLERS, "heun")


def has_code(name: str) -> bool:
    """Whether this edition has the file of a sampler of `NAMES`, with its function or a stub."""
    file = SAMPLERS.get(name)
    return file is None or (Path(__file__).parents[1] / f"{file}.py").is_file()


@dataclass(frozen=True)
class Sampler:
    """How samples are drawn. Every sampler draws from every model, see `models/denoisers.py`.

    Args:
        name: "own" for the way in which the model draws by itself, see `Denoiser.own`; one of
            `SAMPLERS`, or "heun". An EDM's "own" is heun with the settings of its config.
        steps: how many levels of noise to visit; None for the model's own number.
        eta: the noise of those in `HAVE_ETA`, 0 .. 1.
        spacing: which levels those in `SAMPLERS` visit, see `Denoiser.times`.
        guidance: scale of classifier-free guidance, see `guidance.Guided`; None for no guidance.
        heun: noise levels and churn of "heun"; None for the model's own.
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
        return cls(
            default(train.sampler, cls.name),
            train.sampler_steps,
            default(train.sampler_eta, cls.eta),
            default(train.sampler_spacing, cls.spacing),
            train.guidance,
        )

    @classmethod
    def of_scores(cls, train: TrainConfig) -> "Sampler":
        """The sampler of a run's scores: `train_cfg.eval_sampler`, or that of its pictures."""
        if train.eval_sampler is None:
            return cls.of_run(train)
        return cls(train.eval_sampler, train.eval_steps, guidance=train.guidance)

    @classmethod
    def from_flags(
        cls, flags: SamplerFlags, model: nn.Module, of_run: "Sampler | None" = None
    ) -> "Sampler":
        """The sampler that flags describe.

        What they do not say is as in `of_run`, the run's own sampler; its steps, eta and spacing
        are for no other sampler.

        Raises UserError for flags that are wrong, or that do not fit each other or the model.
        """
        usual = default(of_run, cls())
        name = default(flags.sampler, usual.name)
        if name != usual.name:
            usual = cls(name, guidance=usual.guidance)
        sampler = cls(
            name,
            default(flags.steps, usual.steps),
            default(flags.eta, usual.eta),
            default(flags.spacing, usual.spacing),
            usual.guidance if flags.guidance is None else _scale(flags.guidance, model),
        )
        _check_name(name)
        denoiser = denoiser_of(model)
        _check_flags(flags, name, denoiser)
        if not 0 <= sampler.eta <= 1:
            eta = f"{sampler.eta:g}"
            raise UserError(f"--eta: the noise goes from 0 (none) to 1 (as ddpm), not {eta}")
        sampler = sampler.resolved(model)
        if sampler.name == "heun":
            sampler = replace(sampler, heun=changed_heun(flags, denoiser.heun))
        elif sampler.name in SAMPLERS:
            sampler.function()
        denoiser.times(sampler.steps, sampler.spacing)
        return sampler

    @classmethod
    def sweep_from_flags(
        cls, flags: SamplerFlags, model: nn.Module, of_run: "Sampler | None" = None
    ) -> "list[Sampler]":
        """As from_flags, with a sampler for each scale that --guidance gives, as in 0,3,7."""
        if flags.guidance is None:
            return [cls.from_flags(flags, model, of_run)]
        sampler = cls.from_flags(replace(flags, guidance=None), model, of_run)
        return [replace(sampler, guidance=_scale(s, model)) for s in flags.guidance.split(",")]

    def resolved(self, model: nn.Module) -> "Sampler":
        """With what the model decides filled in: what its own sampler is, steps, noise levels."""
        denoiser = denoiser_of(model)
        name = denoiser.own if self.name == "own" else self.name
        if name != "heun":
            return replace(self, name=name, steps=default(self.steps, denoiser.steps))
        steps, heun = default(self.steps, denoiser.heun_steps), default(self.heun, denoiser.heun)
        return replace(self, name=name, steps=steps, heun=heun)

    def num_steps(self, denoiser: Denoiser) -> int:
        """How many steps a resolved sampler takes; UserError if the model has fewer."""
        return len(denoiser.times(self.steps, self.spacing))

    def evaluations(self, denoiser: Denoiser) -> int:
        """How often the network is evaluated for each image."""
        sampler = self.resolved(denoiser.model)
        steps = sampler.num_steps(denoiser)
        if sampler.name == "own":
            return steps * denoiser.loop_calls
        return 2 * steps - 1 if sampler.name == "heun" else steps

    def function(self) -> Callable[..., Tensor]:
        """What draws with one of `SAMPLERS`; UserError where this edition does not have it."""
        file = SAMPLERS[self.name]
        if not has_code(self.name):
            raise UserError(
                f"--sampler: {self.name} is not part of this edition, code/libs/{file}.py is "
                "missing; use own"
            )
        module = importlib.import_module(f"..{file.replace('/', '.')}", __package__)
        return getattr(module, f"sample_{file.rpartition('/')[2]}")

    def check_written(self, model: nn.Module) -> None:
        """Refuse a sampler that is missing, or still to be written: now, not after an epoch."""
        if self.name == "own":
            return
        nothing, file = torch.zeros(1, 1, 1, 1), (SAMPLERS | {"heun": "edm"})[self.name]
        chain = denoiser_of(model).chain(1, self.spacing)
        try:
            if self.name == "heun":
                sample_heun(lambda x, sigma: x, nothing, 1)
            else:
                self.function()(lambda x, t: x, nothing, chain.alphas_cumprod, chain.times)
        except NotImplementedError as error:
            why, do = "not written yet", "do that first, or set"
            if str(error) == NOT_ASKED:
                why, do = "not part of this homework", "set"
            raise UserError(
                f"the sampler {self.name} is {why}, code/libs/{file}.py: {do} 'train_cfg.sampler' "
                "and 'train_cfg.eval_sampler' to own, and their steps to null"
            ) from None

    def __str__(self) -> str:
        steps = "all steps" if self.steps is None else f"{self.steps} steps"
        parts = [self.name, steps]
        parts += [self.spacing] if self.spacing != Sampler.spacing else []
        parts += [f"eta {self.eta:g}"] if self.name in HAVE_ETA else []
        parts += text_of_heun(self.heun) if self.heun is not None else []
        parts += [f"guidance {self.guidance:g}"] if self.guidance is not None else []
        return ", ".join(parts)


def _check_name(name: str) -> None:
    """Refuse an unknown sampler."""
    if name not in NAMES:
        hint = did_you_mean(name, NAMES) or f"; choose from {', '.join(NAMES)}"
        raise UserError(f"--sampler: there is no sampler '{name}'{hint}")


def _check_flags(flags: SamplerFlags, name: str, denoiser: Denoiser) -> None:
    """Refuse flags of a sampler that is not the one chosen."""
    of_heun = flags.of_heun()
    if name == "own" and denoiser.own == "heun":
        for flag in (["--steps"] if flags.steps is not None else []) + of_heun:
            raise UserError(
                f"{flag}: the model's own sampler has the settings of its config; add "
                "--sampler heun"
            )
    elif name == "own":
        for flag, value in (("--steps", flags.steps), ("--spacing", flags.spacing)):
            if value is not None:
                raise UserError(
                    f"{flag}: the model's own {denoiser.loop} visits all of its "
                    f"{denoiser.model.timesteps} time steps; add --sampler ddim, or another of "
                    f"{', '.join(SAMPLERS)}"
                )
    if name != "heun":
        for flag in of_heun:
            raise UserError(f"{flag}: only heun has it; add --sampler heun")
    if flags.spacing is not None and name not in SAMPLERS:
        raise UserError(
            f"--spacing: only {', '.join(SAMPLERS)} have it, heun has --rho; add --sampler dpm++"
        )
    if flags.eta is not None and name not in HAVE_ETA:
        raise UserError("--eta: only ddim, dpm++ and deis have it; add --sampler ddim")


def _scale(text: str, model: nn.Module) -> float:
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

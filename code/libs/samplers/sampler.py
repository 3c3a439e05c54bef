"""Drawing samples, batch by batch, with the model's own chain or a faster sampler; and films."""

import importlib
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config import TrainConfig
from ..ddpm import DDPM
from ..edm import EDM, Heun
from ..models.variants import null_label
from ..schedules import time_grid
from ..settings.checks import HAVE_ETA
from ..utils import UserError, default, did_you_mean
from . import heun_flags
from .guidance import parse_scale

SAMPLERS = {"ddpm": "samplers/ancestral", "ddim": "ddim", "dpm++": "samplers/dpm_solver"}
OF_DDPM = ("own", *SAMPLERS)


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
        file = SAMPLERS[self.name]
        try:
            module = importlib.import_module(f"..{file.replace('/', '.')}", __package__)
        except ModuleNotFoundError:
            raise UserError(
                f"--sampler: {self.name} is not part of this edition, code/libs/{file}.py is "
                "missing; use own or ddim"
            ) from None
        return getattr(module, f"sample_{file.rpartition('/')[2]}")

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

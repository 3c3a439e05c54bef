"""The flags of a sampler, for all scripts that draw. No torch here, so that --help is fast."""

import argparse
from dataclasses import dataclass

OF_HEUN = ("--churn", "--churn-range", "--churn-noise", "--rho", "--sigma-range")


@dataclass(frozen=True)
class SamplerFlags:
    """What was given of the flags that `add` adds; None for what was not."""

    sampler: str | None = None
    steps: int | None = None
    eta: float | None = None
    spacing: str | None = None
    guidance: str | None = None
    churn: float | None = None
    churn_range: str | None = None
    churn_noise: float | None = None
    rho: float | None = None
    sigma_range: str | None = None

    def of_heun(self) -> list[str]:
        """Those of heun that were given."""
        return [f for f in OF_HEUN if getattr(self, f[2:].replace("-", "_")) is not None]


def add(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `SamplerFlags`; those not given stay None."""
    group = parser.add_argument_group("sampler")
    group.add_argument(
        "--sampler",
        metavar="NAME",
        help="own (the model's own loop, or for an EDM heun with the settings of its config), "
        "ddpm, ddim, dpm++, deis or heun (default: the run's train_cfg.sampler, else own)",
    )
    group.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="steps of the chain (default: the run's train_cfg.sampler_steps, else all T, those of "
        "an EDM's or a flow's config, or 18 of heun)",
    )
    group.add_argument(
        "--eta",
        type=float,
        help="noise of ddim, dpm++ and deis: 0 (the default) none, 1 as much as ddpm",
    )
    group.add_argument(
        "--spacing",
        metavar="NAME",
        help="time steps to visit: trailing (from T-1; the default, unless the run's "
        "train_cfg.sampler_spacing says otherwise), leading (to 0), linspace (both), "
        "log_snr (both, most of them where little noise is left) or cosine (dense at both ends); "
        "for an EDM or a flow trailing (as its own steps), log_snr or cosine",
    )
    group.add_argument(
        "--churn",
        type=float,
        metavar="S_CHURN",
        help="noise that heun adds on its way: 0 none, 40 much",
    )
    group.add_argument(
        "--churn-range", metavar="MIN,MAX", help="noise levels at which heun adds it, as 0.05,50"
    )
    group.add_argument(
        "--churn-noise", type=float, metavar="S_NOISE", help="its standard deviation, as 1.003"
    )
    group.add_argument("--rho", type=float, help="how much shorter heun's last steps are, as 7")
    group.add_argument(
        "--sigma-range", metavar="MIN,MAX", help="heun's last and first noise level, as 0.002,80"
    )
    group.add_argument(
        "--guidance",
        metavar="S",
        help="scale of classifier-free guidance: 0 ignores the label, 1 is the plain model, 3 "
        "draws typical samples (sample.py takes several, as in 0,3,7, for one grid)",
    )

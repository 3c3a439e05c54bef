"""MeanFlow: a flow whose network knows mean velocities, and so takes large steps in one evaluation.

Paper: Geng et al. 2025, "Mean Flows for One-step Generative Modeling", whose time runs from data to
noise; here it runs from noise, t = 0, to data, t = 1, as in `fm.py`. The mean velocity from t to s,

    u(x_t, t, s) = (x_s - x_t) / (s - t),

of a path of the flow satisfies, differentiated by t along the path (their eq. 6),

    u(x_t, t, s) = v(x_t, t) + (s - t) d/dt u(x_t, t, s),

and one evaluation of it leads all the way: x_1 = x_0 + u(x_0, 0, 1).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..blocks import SinusoidalPE
from ..fm import FM
from .flows import ImageFlow, ResidualFlow
from .variants import VariantUNet

SMALLEST = 1e-3  # of the squared errors by which an error is divided


class MeanUNet(VariantUNet):
    """A UNet that takes two times [B, 2], from and until, for the mean velocity between them.

    For times [B] it gives the velocity at them. Its arguments are those of `VariantUNet`.
    """

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        dim = self.time_dim // 4
        self.interval_embd = nn.Sequential(
            SinusoidalPE(dim),
            nn.Linear(dim, self.time_dim),
            nn.SiLU(),
            nn.Linear(self.time_dim, self.time_dim),
        )

    def embed(self, label: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """As `VariantUNet.embed`, for times [B] or [B, 2]."""
        start, end = (time, time) if time.ndim == 1 else time.unbind(dim=1)
        t_emb, context = super().embed(label, start)
        return t_emb + self.interval_embd(end - start), context


class ImageMeanUNet(ImageFlow, MeanUNet):
    """A UNet that predicts x_t + (1 - t) u: from t = 0 to 1 the image."""


class ResidualMeanUNet(ResidualFlow, MeanUNet):
    """A UNet that predicts what a linear guess leaves of the mean velocity."""


class MeanFlow(FM):
    """A flow that learns mean velocities, and draws with them.

    Args:
        arguments: those of `FM`; `network` gives one that takes two times, as `MeanUNet`.
        mean_share: share of a batch that learns the mean velocity between two times; the others
            learn the velocity, as in `FM`.
    """

    def __init__(self, *arguments: Any, mean_share: float = 0.25, **named: Any):
        super().__init__(*arguments, **named)
        self.mean_share = mean_share

    def draw_times(
        self, number: int, device: torch.device, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw two times for each image, from and until, [number, 2]; for many both are the same.

        Both are drawn as `draw_t` says and put in order; all but `mean_share` of the pairs then end
        where they begin (Geng et al., section 4.3).
        """
        pairs = [self.draw_t(number, device, generator) for _ in range(2)]
        pair = torch.stack(pairs, dim=1).sort(dim=1).values
        same = torch.rand(number, generator=generator, device=device) >= self.mean_share
        return torch.where(same[:, None], pair[:, :1], pair)

    def compute_loss(
        self, x_start: Tensor, label: Tensor, t: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """How well the network predicts mean velocities (Geng et al., Algorithm 1).

        Args:
            x_start, label, noise: as in `FM.compute_loss`.
            t: times from and until, [B, 2], or times [B] for the plain loss of the velocity; drawn
                here if None.

        Returns:
            A scalar. For pairs of times the error of each image is divided by its own size, which
            is held constant (their eq. 22 with p = 1).
        """
        if t is None:
            t = self.draw_times(len(x_start), x_start.device)
        if t.ndim == 1:
            return super().compute_loss(x_start, label, t, noise)
        x_1 = x_start
        if self.use_vae:
            with torch.no_grad():
                x_1 = self.vae.encoder(x_start)
        if noise is None:
            noise = torch.randn_like(x_1)
        x_t, velocity = self.interpolate(x_1, t[:, 0], noise), x_1 - noise
        target = velocity.clone()
        spans = (t[:, 1] > t[:, 0]).nonzero()[:, 0]
        if len(spans):
            change = self._change(x_t[spans], label[spans], t[spans], velocity[spans])
            length = (t[spans, 1] - t[spans, 0])[:, None, None, None]
            target[spans] += length * change
        errors = F.mse_loss(self.model(x_t, label, t), target, reduction="none")
        errors = errors.mean(dim=(1, 2, 3))
        return (errors / (errors.detach() + SMALLEST)).mean()

    def _change(self, x: Tensor, label: Tensor, t: Tensor, velocity: Tensor) -> Tensor:
        """d/dt u(x_t, t, s), [B, C, H, W], along the line with this velocity, without gradient."""

        def u(x: Tensor, start: Tensor) -> Tensor:
            return self.model(x, label, torch.stack([start, t[:, 1]], dim=1))

        # Fused attention has no derivative of this kind
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            rates = velocity, torch.ones_like(t[:, 0])
            return torch.func.jvp(u, (x, t[:, 0]), rates)[1].to(velocity.dtype)

    @torch.no_grad()
    def step(self, x: Tensor, label: Tensor, t: float, t_next: float) -> Tensor:
        """Go from x_t, [B, C, H, W], to time `t_next` by the mean velocity, in one evaluation."""
        times = torch.tensor([[t, t_next]], device=x.device).expand(len(x), 2)
        return x + (t_next - t) * self.model(x, label, times)

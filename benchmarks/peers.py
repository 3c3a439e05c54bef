"""One training step and one sampling step of our model and of its peers, for benchmarks/speed.py.

The peers: our model written plainly, diffusers' UNet of the same widths, and the UNet of
denoising-diffusion-pytorch with about as many parameters. Each gets what its own training script
does in a step, with the data on the device already.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from libs.blocks import Attention, LabelEmbedding
from libs.config import Config
from libs.ddpm import DDPM
from libs.models.build import build_model
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.training.diffusion_losses import TrainingLoss
from libs.training.updater import Updater
from libs.utils import UserError

RATE = 1e-4
MISSING = "the peers are missing: pip install -r requirements/bench.txt"


@dataclass
class Contestant:
    """What is measured; each call does one step with the same batch."""

    network: nn.Module
    parameters: int  # that are trained, of the UNet with what embeds the class
    train: Callable[[], object]
    sample: Callable[[], object]


@dataclass
class Batch:
    """Images in [-1, 1] or latents [B, C, H, W], labels [B], time steps [B], noise [B, C, H, W]."""

    images: Tensor
    labels: Tensor
    times: Tensor
    noise: Tensor

    @classmethod
    def draw(cls, config: Config, batch_size: int, device: torch.device) -> "Batch":
        model, shape = config.model, (batch_size, *config.model.img_shape)
        generator = torch.Generator().manual_seed(0)
        images = 2 * torch.rand(shape, generator=generator) - 1
        labels = torch.randint(model.num_classes, (batch_size,), generator=generator)
        times = torch.randint(model.timesteps, (batch_size,), generator=generator)
        noise = torch.randn(shape, generator=generator)
        return cls(*(tensor.to(device) for tensor in (images, labels, times, noise)))


@dataclass(frozen=True)
class Ideas:
    """What makes a step of ours fast; each can be left out."""

    sdpa: bool = True
    bf16: bool = True
    products: bool = True  # attention in bf16 on a CPU, see runtime/attention.py
    channels_last: bool = True
    fused: bool = True  # the optimizer, and the average of the weights


NONE = Ideas(sdpa=False, bf16=False, products=False, channels_last=False, fused=False)


def explicit_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v, with the weights [B, heads, N, M] in memory."""
    weights = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1)
    return weights @ v


def fused_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's own function also in bf16 on a CPU, where `ProductAttention` takes plain calls."""
    return F.scaled_dot_product_attention(q, k, v, dropout_p=0.0)


def make_ours(config: Config, batch: Batch, precision: Precision, ideas: Ideas) -> Contestant:
    """Our model as train.py and sample.py run it, without the ideas that are left out."""
    precision = precision if ideas.bf16 else Precision("fp32", precision.device)
    torch.manual_seed(0)
    model = build_model(config).to(precision.device)
    if ideas.channels_last:
        model.to(memory_format=torch.channels_last)
    if not ideas.products:
        for module in model.modules():
            if isinstance(module, Attention):
                module._attend = fused_attention if ideas.sdpa else explicit_attention
    images = as_ours(batch.images, ideas)
    loss = TrainingLoss(model, config)
    train_cfg = replace(config.train_cfg, optimizer="adamw")  # as all contestants
    updater = Updater(model, loss, train_cfg, precision, Processes())
    if not ideas.fused:
        updater.optimizer = torch.optim.AdamW(model.parameters(), foreach=False, fused=False)
        updater.ema.update = lambda: update_one_by_one(updater.ema.average, updater.ema.parameters)

    def train() -> object:
        model.train()
        pixels = (images + 1) / 2  # what the data set gives, and TrainingLoss scales back
        return updater.step(RATE, pixels, batch.labels, batch.times, batch.noise)

    def sample() -> Tensor:
        model.eval()
        middle = model.timesteps // 2
        with precision.autocast():
            return model.p_sample(
                images, batch.labels, torch.full_like(batch.times, middle), middle
            )

    return Contestant(model, updater.num_parameters, train, sample)


def as_ours(images: Tensor, ideas: Ideas) -> Tensor:
    layout = torch.channels_last if ideas.channels_last else torch.contiguous_format
    return images.contiguous(memory_format=layout)


@torch.no_grad()
def update_one_by_one(average: dict[str, Tensor], parameters: dict[str, Tensor]) -> None:
    for name, parameter in parameters.items():
        average[name].lerp_(parameter, 0.001)


def make_diffusers(
    config: Config, batch: Batch, precision: Precision, as_example: bool
) -> Contestant:
    """diffusers' UNet2DConditionModel of our widths, groups and heads; attention reads the class.

    As its training examples run it by default: float32, AdamW, gradients clipped, no average of the
    weights; or at our precision, with the fused optimizer and channels last, too.
    """
    try:
        from diffusers import DDPMScheduler, UNet2DConditionModel
    except ImportError:
        raise UserError(MISSING) from None
    settings, device = config.model, precision.device
    attends = [level in settings.attn_levels for level in range(len(settings.dim_mults))]
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        in_channels=settings.img_shape[0],
        out_channels=settings.img_shape[0],
        block_out_channels=[settings.dim * mult for mult in settings.dim_mults],
        layers_per_block=settings.resblocks_per_level,
        norm_num_groups=4,
        cross_attention_dim=settings.context_dim,
        attention_head_dim=4,  # diffusers means the number of heads
        down_block_types=["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends],
        up_block_types=["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in attends[::-1]],
    )
    embedding = LabelEmbedding(settings.num_classes, settings.context_dim)
    network = nn.ModuleDict({"unet": unet, "embedding": embedding}).to(device)
    scheduler = DDPMScheduler(settings.timesteps)
    images = batch.images
    if as_example:
        precision = Precision("fp32", device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    else:
        network.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, fused=True)

    def predict(x: Tensor, times: Tensor) -> Tensor:
        with precision.autocast():
            return unet(x, times, embedding(batch.labels)).sample

    def train() -> None:
        network.train()
        x = scheduler.add_noise(images, batch.noise, batch.times)
        F.mse_loss(predict(x, batch.times).float(), batch.noise).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    @torch.no_grad()
    def sample() -> Tensor:
        network.eval()
        time = settings.timesteps // 2
        return scheduler.step(predict(images, torch.full_like(batch.times, time)), time, images)

    return Contestant(network, count(network), train, sample)


def make_ddpm_pytorch(
    config: Config, batch: Batch, precision: Precision, num_parameters: int
) -> Contestant:
    """denoising-diffusion-pytorch's network and training step, of about so many parameters.

    Without classes, which it does not know; with attention at the coarsest level, its default.
    """
    try:
        from denoising_diffusion_pytorch import GaussianDiffusion, Unet
        from ema_pytorch import EMA
    except ImportError:
        raise UserError(MISSING) from None
    channels, size, _ = config.model.img_shape

    def network(dim: int) -> nn.Module:
        return Unet(dim, dim_mults=tuple(config.model.dim_mults), channels=channels)

    with torch.device("meta"):
        dim = closest(range(8, 257, 4), num_parameters, lambda dim: count(network(dim)))
    torch.manual_seed(0)
    diffusion = GaussianDiffusion(
        network(dim), image_size=size, timesteps=config.model.timesteps
    ).to(precision.device)
    optimizer = torch.optim.Adam(diffusion.parameters(), lr=RATE, betas=(0.9, 0.99))
    average = EMA(diffusion, beta=0.995, update_every=10)
    pixels = (batch.images + 1) / 2

    def train() -> None:
        diffusion.train()
        diffusion(pixels).backward()
        nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update()

    @torch.no_grad()
    def sample() -> Tensor:
        diffusion.eval()
        return diffusion.p_sample(batch.images, config.model.timesteps // 2)[0]

    return Contestant(diffusion, count(diffusion.model), train, sample)


def closest(dims: Sequence[int], wanted: int, size: Callable[[int], int]) -> int:
    return min(dims, key=lambda dim: abs(size(dim) - wanted))


def count(network: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@torch.no_grad()
def difference(ours: DDPM, plain: DDPM, batch: Batch, precision: Precision) -> float:
    """How far our predicted noise is from the plain model's with the same weights, relative."""
    plain.load_state_dict(ours.state_dict())
    images = as_ours(batch.images, Ideas())
    with precision.autocast():
        found = ours.model(images, batch.labels, batch.times).float()
    wanted = plain.model(batch.images, batch.labels, batch.times)
    return ((found - wanted).norm() / wanted.norm()).item()

# An earlier edition of the assignment: a whole submission, right in every part.


# ==== lone_files
# about: ddpm.py and unet.py alone, as the kit had them while its options were arguments of both.
# lacks: bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit
# file: code/libs/ddpm.py
"""Denoising diffusion probabilistic models, in pixel space and in the latent space of a VAE.

Papers: Ho, Jain and Abbeel 2020, "Denoising Diffusion Probabilistic Models" (equation numbers below
are theirs); Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models".

Time steps are counted from 0: t = 0 .. T-1 here is t = 1 .. T in the paper.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .latent_space import make_space
from .objective import predicting
from .schedules import make_betas
from .unet import UNet
from .utils import choose, default
from .variants import null_label, sized


class DDPM(nn.Module):
    """A diffusion model conditioned on class labels.

    With `use_vae` the diffusion runs on latents of a frozen autoencoder, [4, H/8, W/8] by default.

    Args:
        img_shape: shape of an image, (C, H, W).
        timesteps: length T of the diffusion process.
        dim, context_dim, num_classes, dim_mults, attn_levels: see `UNet`.
        use_vae: diffuse the latents of a VAE instead of pixels.
        vae_encoder_weights, vae_decoder_weights: files with the VAE's weights; None leaves it
            untrained, for loading a checkpoint into it.
        beta_schedule: a name in `schedules.SCHEDULES`; by default "linear" for pixels and
            "quadratic" for latents.
        beta_start, beta_end: first and last beta; by default 1e-4 and 0.02 for pixels, 0.00085
            and 0.012 for latents.
        rescale_betas: multiply both by 1000 / timesteps, so that a short chain ends in noise, too.
        prediction: what the network learns to predict, see `objective.py`; it always answers with
            the noise that this implies.
        variance_type: variance of the noise in `p_sample`, "fixed_small", that of the posterior, or
            "fixed_large", beta (section 3.2).
        label_dropout: share of the labels that training replaces by `null_label`, for guidance.
        vae: an autoencoder to use instead of TAESD, see `latent_space.make_space`.
        unet_options: further keyword arguments of `UNet`, such as `conditional`.

    Attributes:
        img_shape: shape of what is diffused, (C, H, W): of the images, or of their latents.
        conditional: False for a network that passes over the labels.
        null_label: the label that stands for no class or no prompt; None without `label_dropout`.
        betas, sqrt_recip_alphas, sqrt_alphas_cumprod, sqrt_one_minus_alphas_cumprod,
            posterior_variance: the schedule, float32 [T] each. They move with the model and are no
            part of its state_dict. With "fixed_large", `posterior_variance` holds the betas.

    Raises:
        ValueError: for an image size that the network or the VAE cannot halve often enough, or an
            unknown schedule or type of variance.
    """

    def __init__(
        self,
        img_shape: Sequence[int] = (3, 32, 32),
        timesteps: int = 100,
        dim: int = 64,
        context_dim: int = 64,
        num_classes: int = 10,
        dim_mults: Sequence[int] = (1, 2, 4),
        attn_levels: Sequence[int] = (0, 1),
        use_vae: bool = False,
        vae_encoder_weights: str | None = None,
        vae_decoder_weights: str | None = None,
        *,
        beta_schedule: str | None = None,
        beta_start: float | None = None,
        beta_end: float | None = None,
        rescale_betas: bool = False,
        prediction: str = "eps",
        variance_type: str = "fixed_small",
        label_dropout: float = 0.0,
        vae: nn.Module | None = None,
        **unet_options: object,
    ):
        super().__init__()
        self.timesteps = timesteps
        self.use_vae = use_vae
        self.vae, self.img_shape = make_space(
            img_shape, len(dim_mults), use_vae, vae_encoder_weights, vae_decoder_weights, vae
        )

        betas = make_betas(
            default(beta_schedule, "quadratic" if use_vae else "linear"),
            timesteps,
            default(beta_start, 0.00085 if use_vae else 1e-4),
            default(beta_end, 0.012 if use_vae else 0.02),
            rescale=rescale_betas,
        )
        alphas = 1 - betas
        alphas_cumprod = alphas.cumprod(dim=0)
        alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
        # q(x_{t-1} | x_t, x_0), eq. 7
        posterior_variance = betas * (1 - alphas_cumprod_prev) / (1 - alphas_cumprod)
        variances = {"fixed_small": posterior_variance, "fixed_large": betas}
        schedule = {
            "betas": betas,
            "sqrt_recip_alphas": (1 / alphas).sqrt(),
            # q(x_t | x_0), eq. 4
            "sqrt_alphas_cumprod": alphas_cumprod.sqrt(),
            "sqrt_one_minus_alphas_cumprod": (1 - alphas_cumprod).sqrt(),
            # p(x_{t-1} | x_t), section 3.2
            "posterior_variance": choose("variance_type", variance_type, variances),
        }
        for name, values in schedule.items():
            self.register_buffer(name, values.float(), persistent=False)

        self.prediction = prediction
        self.conditional = unet_options.get("conditional", True)
        self.null_label = null_label(num_classes, label_dropout, unet_options)
        network = UNet if prediction == "eps" else predicting(prediction, alphas_cumprod)
        self.model = network(
            dim=dim,
            context_dim=context_dim,
            num_classes=num_classes + bool(label_dropout),
            in_channels=self.img_shape[0],
            dim_mults=dim_mults,
            attn_levels=attn_levels,
            **sized(unet_options, self.img_shape, dim_mults),
        )

    @staticmethod
    def _extract(a: Tensor, t: Tensor, x_shape: Sequence[int]) -> Tensor:
        """Pick a[t] for each sample and shape it to broadcast over images.

        Args:
            a: one value a time step, [T].
            t: time steps, LongTensor [B].
            x_shape: shape of the images, (B, C, H, W).

        Returns:
            [B, 1, 1, 1]
        """
        return a.gather(0, t).reshape(-1, *(1,) * (len(x_shape) - 1))

    def q_sample(self, x_start: Tensor, t: Tensor, noise: Tensor | None = None) -> Tensor:
        """Forward diffusion: draw x_t given x_0 in one go (eq. 4).

        Args:
            x_start: clean images or latents x_0, [B, C, H, W].
            t: time steps 0 .. T-1, LongTensor [B].
            noise: Gaussian noise, [B, C, H, W]; drawn here if None.

        Returns:
            x_t, [B, C, H, W]
        """
        if noise is None:
            noise = torch.randn_like(x_start)
        # TODO: Mix x_start and the noise into x_t with eq. 4. self._extract picks the values of
        # the schedule for each sample's own time step.
        signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
        noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
        return signal_rate * x_start + noise_rate * noise

    def compute_loss(
        self, x_start: Tensor, label: Tensor, t: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        """Simplified training loss: how well the network predicts the noise (eq. 14).

        Args:
            x_start: images, [B, C, H, W], in [-1, 1]; with `use_vae` in [0, 1].
            label: class indices, LongTensor [B].
            t: time steps 0 .. T-1, LongTensor [B].
            noise: Gaussian noise of the shape of what is diffused, [B, *img_shape]; drawn here
                if None.

        Returns:
            The mean squared error, a scalar.
        """
        if self.use_vae:
            # TODO (latent diffusion): Replace the images by their latents. The encoder
            # self.vae.encoder is frozen: no gradient is needed through it.
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
        if noise is None:
            noise = torch.randn_like(x_start)
        # TODO: Diffuse x_start to time t, let the network self.model(x_t, label, t) predict the
        # noise, and return the mean squared error of the prediction (Algorithm 1, eq. 14).
        x_t = self.q_sample(x_start, t, noise)
        predicted_noise = self.model(x_t, label, t)
        return F.mse_loss(predicted_noise, noise)

    @torch.no_grad()
    def p_sample(self, x: Tensor, label: Tensor, t: Tensor, t_index: int) -> Tensor:
        """One step of reverse diffusion: draw x_{t-1} given x_t (eq. 11, Algorithm 2).

        Args:
            x: x_t, [B, C, H, W].
            label: class indices, LongTensor [B].
            t: the time step, LongTensor [B], all entries equal to `t_index`.
            t_index: the same time step as an int; the step to x_0, t_index = 0, adds no noise.

        Returns:
            x_{t-1}, [B, C, H, W]
        """
        # TODO: Compute the mean with eq. 11 from the noise that self.model predicts. Unless this is
        # the last step (t_index = 0), add Gaussian noise of variance self.posterior_variance[t].
        beta = self._extract(self.betas, t, x.shape)
        sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
        sqrt_one_minus_alpha_bar = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
        eps = self.model(x, label, t)
        mean = sqrt_recip_alpha * (x - beta / sqrt_one_minus_alpha_bar * eps)
        if t_index == 0:
            return mean
        variance = self._extract(self.posterior_variance, t, x.shape)
        return mean + variance.sqrt() * torch.randn_like(x)

    @torch.no_grad()
    def p_sample_loop(self, labels: Tensor) -> Tensor:
        """The full chain: draw one image for each label, from pure noise (Algorithm 2).

        Args:
            labels: class indices, LongTensor [B].

        Returns:
            Images in [0, 1], [B, C, H, W]
        """
        # TODO: Start from Gaussian noise x_T, [B, *self.img_shape], on the device of the labels,
        # and call self.p_sample for t = T-1, ..., 0.
        x = torch.randn(len(labels), *self.img_shape, device=labels.device)
        for t_index in reversed(range(self.timesteps)):
            t = torch.full_like(labels, t_index)
            x = self.p_sample(x, labels, t, t_index)
        if self.use_vae:
            # TODO (latent diffusion): Turn the latents x into images with self.vae.decoder.
            x = self.vae.decoder(x)
        return self.postprocess(x)

    def postprocess(self, imgs: Tensor) -> Tensor:
        """Bring images to [0, 1]: those of a pixel model are in [-1, 1], decoded ones in [0, 1]."""
        if not self.use_vae:
            imgs = (imgs + 1) / 2
        return imgs.clamp(0, 1)

# file: code/libs/unet.py
"""The denoising network: a UNet conditioned on the time step and on a class label or a text."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .blocks import (
    ResBlock,
    SinusoidalPE,
    SpatialTransformer,
    Upsample,
    zero_init,
)
from .utils import choose, default
from .variants import ATTENTIONS, CONTEXTS, DOWNSAMPLERS, ResBlocks, TransformerMiddle


class UNet(nn.Module):
    """UNet eps_theta(x, c, t) after Rombach et al. 2022, with one residual block a level.

    Level i works with `dim * dim_mults[i]` channels; between two levels height and width halve, so
    both must be divisible by 2 ** (len(dim_mults) - 1). Time enters every residual block, the class
    enters the transformers, which stand at the levels of `attn_levels` and in the middle.

    Args:
        dim: number of channels that `dim_mults` multiplies.
        context_dim: size of the class embedding, or of a text's tokens.
        num_classes: number of classes; for texts it means nothing.
        in_channels: channels of the input.
        out_channels: channels of the output; those of the input by default.
        dim_mults: one multiplier a level, finest level first.
        attn_levels: levels with a transformer, 0 is the finest.
        init_dim: channels after the first convolution; `dim` by default.
        num_groups: groups of each GroupNorm; 4 by default.
        num_heads: heads of each attention; 4 by default.
        conditional: False for a network that passes over the labels.
        adagn: time and class scale and shift the features inside the residual blocks.
        resblocks_per_level: residual blocks at each level of encoder and decoder.
        dropout: share of the features that the residual blocks drop in training.
        attention: of the transformers to themselves, "full" or "linear".
        resample: how the encoder halves, "conv" or by pooling, "max" or "avg".
        bottleneck: what stands in the middle: "conv", a transformer between two residual blocks, or
            "transformer", `bottleneck_depth` blocks of `bottleneck_heads` heads over feature maps
            of one size only, `bottleneck_size` (height, width).
        context: what a label is, a "class" that the network learns to embed, or a text as "tokens",
            see `variants.PromptTable`.

    Raises:
        ValueError: the channels of a level are not divisible by `num_groups` and `num_heads`, or an
            option is not one of those above.
    """

    def __init__(
        self,
        dim: int,
        context_dim: int,
        num_classes: int,
        in_channels: int = 3,
        out_channels: int | None = None,
        dim_mults: Sequence[int] = (1, 2, 4),
        attn_levels: Sequence[int] = (0, 1),
        init_dim: int | None = None,
        num_groups: int | None = None,
        num_heads: int | None = None,
        *,
        conditional: bool = True,
        adagn: bool = False,
        resblocks_per_level: int = 1,
        dropout: float = 0.0,
        attention: str = "full",
        resample: str = "conv",
        bottleneck: str = "conv",
        bottleneck_depth: int = 4,
        bottleneck_heads: int = 8,
        bottleneck_size: Sequence[int] | None = None,
        context: str = "class",
    ):
        super().__init__()
        out_channels = default(out_channels, in_channels)
        init_dim = default(init_dim, dim)
        groups = default(num_groups, 4)
        heads = default(num_heads, 4)
        time_dim = 4 * dim
        dims = [init_dim, *(dim * mult for mult in dim_mults)]
        for channels in dims:
            if channels % groups or channels % heads:
                raise ValueError(
                    f"dim {dim} with dim_mults {list(dim_mults)} gives {channels} channels, which "
                    f"must be divisible by {groups} (num_groups) and {heads} (num_heads)"
                )
        levels = range(len(dim_mults))
        deepest = len(dim_mults) - 1
        self_attention = choose("attention", attention, ATTENTIONS)
        downsample = choose("resample", resample, DOWNSAMPLERS)

        def res_block(dim_in: int, dim_out: int) -> ResBlock:
            return ResBlock(dim_in, time_dim, dim_out, groups, adagn=adagn, dropout=dropout)

        def res_blocks(dim_in: int, dim_out: int) -> ResBlock | ResBlocks:
            first = res_block(dim_in, dim_out)
            more = [res_block(dim_out, dim_out) for _ in range(resblocks_per_level - 1)]
            return ResBlocks([first, *more]) if more else first

        def transformer(channels: int) -> SpatialTransformer:
            return SpatialTransformer(
                channels, context_dim, heads, groups=groups, self_attention=self_attention
            )

        self.conv_in = nn.Conv2d(in_channels, init_dim, 3, padding=1)
        self.time_embd = nn.Sequential(
            SinusoidalPE(dim), nn.Linear(dim, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim)
        )
        self.conditional = conditional
        embedding = choose("context", context, CONTEXTS)
        self.label_embd = embedding(num_classes if conditional else 1, context_dim)
        self.label_to_time = nn.Linear(context_dim, time_dim) if adagn else None

        self.encoder = nn.ModuleList()
        for i in levels:
            attn = transformer(dims[i + 1]) if i in attn_levels else None
            down = downsample(dims[i + 1]) if i < deepest else None
            self.encoder.append(nn.ModuleList([res_blocks(dims[i], dims[i + 1]), attn, down]))

        self.mid_transformer = None
        if choose("bottleneck", bottleneck, {"conv": False, "transformer": True}):
            sizes = bottleneck_size, bottleneck_depth, bottleneck_heads
            self.mid_transformer = TransformerMiddle(dims[-1], time_dim, context_dim, *sizes)
        else:
            self.mid_res_block1 = res_block(dims[-1], dims[-1])
            self.mid_attn = transformer(dims[-1])
            self.mid_res_block2 = res_block(dims[-1], dims[-1])

        self.decoder = nn.ModuleList()
        for i in reversed(levels):
            attn = transformer(dims[i]) if i in attn_levels else None
            up = Upsample(dims[i]) if i > 0 else None
            # Twice the channels come in: the decoder's own and those of the encoder's output.
            self.decoder.append(nn.ModuleList([res_blocks(2 * dims[i + 1], dims[i]), attn, up]))

        self.final_conv = nn.Sequential(
            nn.GroupNorm(groups, init_dim),
            nn.SiLU(),
            zero_init(nn.Conv2d(init_dim, out_channels, 3, padding=1)),
        )

    def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
        """Predict the noise in x.

        Args:
            x: noisy images or latents, [B, in_channels, H, W].
            label: class indices, LongTensor [B]; for texts the numbers of prompts, or their tokens
                [B, tokens, context_dim].
            time: time steps 0 .. T-1, LongTensor [B].

        Returns:
            [B, out_channels, H, W]
        """
        if not self.conditional:
            label = torch.zeros_like(label)
        t_emb = self.time_embd(time)  # [B, 4 * dim]
        context = self.label_embd(label)  # [B, 1, context_dim]; more tokens for texts
        if self.label_to_time is not None:
            t_emb = t_emb + self.label_to_time(context.mean(dim=1))
        x = self.conv_in(x)

        skips = []
        for res_block, transformer, downsample in self.encoder:
            x = res_block(x, t_emb)
            if transformer is not None:
                x = transformer(x, context)
            skips.append(x)
            if downsample is not None:
                x = downsample(x)

        if self.mid_transformer is None:
            x = self.mid_res_block1(x, t_emb)
            x = self.mid_attn(x, context)
            x = self.mid_res_block2(x, t_emb)
        else:
            x = self.mid_transformer(x, t_emb, context)

        # TODO: Complete the decoder. Walk through self.decoder as the loop above walks through
        # self.encoder. Each level first joins x with the encoder's output of the same resolution
        # along the channels, cat([x, skip]); the output stored last is the first to be used.
        for res_block, transformer, upsample in self.decoder:
            x = torch.cat([x, skips.pop()], dim=1)
            x = res_block(x, t_emb)
            if transformer is not None:
                x = transformer(x, context)
            if upsample is not None:
                x = upsample(x)

        return self.final_conv(x)

"""Stable Diffusion 1.x: its UNet built from our blocks, the names in its files, the guided loop.

Paper: Rombach, Blattmann, Lorenz, Esser and Ommer 2022, "High-Resolution Image Synthesis with
Latent Diffusion Models"; CompVis, the authors' group, published code and weights.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .blocks import Downsample, ResBlock, SinusoidalPE, SpatialTransformer, Upsample, zero_init
from .ddim import ddim_step


class StableDiffusionUNet(nn.Module):
    """Stable Diffusion's noise predictor eps_theta(x, c, t); the defaults are those of 1.x.

    Level i works with `dim * dim_mults[i]` channels, and between two levels height and width halve.
    It differs from `unet.UNet` in its number of residual blocks, and in that the decoder gets to
    see every state of the encoder:

        conv_in   the first state
        encoder   (ResBlock, SpatialTransformer or None, Downsample or None) for each residual
                  block, `res_blocks` per level; the state after the first two, and the state after
                  the Downsample where there is one, which closes all levels but the deepest
        mid_res_block1, mid_attn, mid_res_block2
        decoder   (ResBlock, SpatialTransformer or None, Upsample or None), `res_blocks + 1` per
                  level, deepest level first: one for each of the encoder's states
        final_conv

    Args:
        dim: number of channels that `dim_mults` multiplies.
        context_dim: entries of each token's context, those of the text encoder.
        in_channels: channels of input and output, those of the latents.
        dim_mults: one multiplier per level, finest level first.
        attn_levels: levels with a transformer after each residual block, 0 is the finest.
        res_blocks: residual blocks at each level of the encoder.
        num_heads: heads of each attention.
        num_groups: groups of each GroupNorm.
    """

    def __init__(
        self,
        dim: int = 320,
        context_dim: int = 768,
        in_channels: int = 4,
        dim_mults: Sequence[int] = (1, 2, 4, 4),
        attn_levels: Sequence[int] = (0, 1, 2),
        *,
        res_blocks: int = 2,
        num_heads: int = 8,
        num_groups: int = 32,
    ):
        super().__init__()
        time_dim = 4 * dim
        dims = [dim * mult for mult in dim_mults]
        deepest = len(dims) - 1

        def res_block(dim_in: int, dim_out: int) -> ResBlock:
            return ResBlock(dim_in, time_dim, dim_out, num_groups)

        def transformer(channels: int) -> SpatialTransformer:
            return SpatialTransformer(
                channels, context_dim, num_heads, qkv_bias=False, groups=num_groups
            )

        self.time_pe = SinusoidalPE(dim)
        self.time_embd = nn.Sequential(
            nn.Linear(dim, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim)
        )
        self.conv_in = nn.Conv2d(in_channels, dim, 3, padding=1)

        self.encoder = nn.ModuleList()
        states = [dim]  # channels of each of the encoder's states
        for i, channels in enumerate(dims):
            for j in range(res_blocks):
                attn = transformer(channels) if i in attn_levels else None
                closes_level = j == res_blocks - 1 and i < deepest
                down = Downsample(channels) if closes_level else None
                self.encoder.append(nn.ModuleList([res_block(states[-1], channels), attn, down]))
                states += [channels, channels] if closes_level else [channels]

        self.mid_res_block1 = res_block(dims[-1], dims[-1])
        self.mid_attn = transformer(dims[-1])
        self.mid_res_block2 = res_block(dims[-1], dims[-1])

        self.decoder = nn.ModuleList()
        width = dims[-1]
        for i, channels in reversed(list(enumerate(dims))):
            for j in range(res_blocks + 1):
                attn = transformer(channels) if i in attn_levels else None
                up = Upsample(channels) if j == res_blocks and i > 0 else None
                joined = width + states.pop()
                self.decoder.append(nn.ModuleList([res_block(joined, channels), attn, up]))
                width = channels

        self.final_conv = nn.Sequential(
            nn.GroupNorm(num_groups, dim),
            nn.SiLU(),
            zero_init(nn.Conv2d(dim, in_channels, 3, padding=1)),
        )

    def forward(self, x: Tensor, context: Tensor, time: Tensor) -> Tensor:
        """Predict the noise in x.

        Args:
            x: noisy latents, [B, in_channels, h, w].
            context: what the text encoder makes of the prompts, [B, tokens, context_dim].
            time: time steps 0 .. T-1, LongTensor [B].

        Returns:
            [B, in_channels, h, w]
        """
        # The encoding is computed in float32: bfloat16 cannot represent 999
        t_emb = self.time_embd(self.time_pe(time).to(x.dtype))  # [B, 4 * dim]

        def apply(res_block: ResBlock, transformer: SpatialTransformer | None, x: Tensor) -> Tensor:
            x = res_block(x, t_emb)
            return x if transformer is None else transformer(x, context)

        # TODO: Walk through conv_in, encoder, middle and decoder, up to final_conv; apply runs a
        # residual block and its transformer. Keep every state of the encoder, that of conv_in
        # included, and join each with x along the channels before one of the decoder's residual
        # blocks, cat([x, state]); the state kept last is the first to be used.
        # BEGIN SOLUTION bonus_scaling
        states = [self.conv_in(x)]
        for res_block, transformer, downsample in self.encoder:
            states.append(apply(res_block, transformer, states[-1]))
            if downsample is not None:
                states.append(downsample(states[-1]))
        x = apply(self.mid_res_block1, self.mid_attn, states[-1])
        x = self.mid_res_block2(x, t_emb)
        for res_block, transformer, upsample in self.decoder:
            x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
            if upsample is not None:
                x = upsample(x)
        # END SOLUTION

        return self.final_conv(x)


def rename(name: str, res_blocks: int = 2) -> str:
    """Our name for a tensor of the UNet that CompVis's files call `name`.

    Blocks have the same parts there and here, so that the end of a name stays as it is. CompVis
    counts differently:

        time_embed.K                the time embedding
        input_blocks.0.0            the first convolution
        input_blocks.N.K  N >= 1    level by level, `res_blocks` blocks of a ResBlock (K = 0) and,
                                    where the level has one, a SpatialTransformer (K = 1); then a
                                    block of its own for the Downsample (K = 0; the part after K is
                                    `op`), unless the level is the deepest
        middle_block.K              the three blocks in the middle
        output_blocks.N.K           as our decoder, but parts that are absent are not counted: the
                                    Upsample (the part after K is `conv`) is K = 1 or K = 2
        out.K                       our final_conv

    Args:
        name: without the prefix of the UNet, such as "input_blocks.4.1.proj_in.weight".
        res_blocks: see `StableDiffusionUNet`.

    Returns:
        A key of the state_dict of `StableDiffusionUNet`, such as "encoder.2.1.proj_in.weight".

    Raises:
        ValueError, LookupError: the name is none of a UNet's.
    """
    # TODO: Translate the name. Split it at its dots; the place of a block in our encoder follows
    # from N by a division with remainder, no table of names is needed.
    # BEGIN SOLUTION bonus_scaling
    part, rest = name.split(".", 1)
    if part in ("time_embed", "out"):
        return {"time_embed": "time_embd", "out": "final_conv"}[part] + "." + rest
    number, rest = rest.split(".", 1)
    if part == "middle_block":
        return ["mid_res_block1", "mid_attn", "mid_res_block2"][int(number)] + "." + rest
    place, rest = rest.split(".", 1)
    if part == "output_blocks":
        return f"decoder.{number}.{2 if rest.startswith('conv.') else place}.{rest}"
    if part != "input_blocks":
        raise ValueError(f"'{name}' is not a name of a tensor in a UNet of CompVis")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:  # the Downsample, which we keep with the residual block before it
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"
    # END SOLUTION


def guided_eps(
    network: Callable[[Tensor, Tensor, Tensor], Tensor],
    x: Tensor,
    t: Tensor,
    context: Tensor,
    negative: Tensor,
    scale: float,
) -> Tensor:
    """The noise in x, moved away from one text and beyond another (Ho & Salimans 2022).

        eps = eps_negative + scale (eps_context - eps_negative)

    Args:
        network: (x, context, time) -> predicted noise, as `StableDiffusionUNet`; maybe in half
            precision.
        x: noisy latents, [B, C, h, w].
        t: time steps, LongTensor [B].
        context: of the prompts, [B, tokens, context_dim].
        negative: of the empty prompt, or of what the picture is to avoid; as `context`.
        scale: of the guidance; 1 is the plain conditional model.

    Returns:
        [B, C, h, w], in the precision of x.
    """
    # TODO: Call the network once, on a batch of 2 B that holds x twice. Bring its answer to the
    # precision of x before you combine the halves: guidance multiplies their rounding errors.
    # BEGIN SOLUTION bonus_scaling
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)
    # END SOLUTION


def sample_guided(
    network: Callable[[Tensor, Tensor, Tensor], Tensor],
    x: Tensor,
    context: Tensor,
    negative: Tensor,
    alphas_cumprod: Tensor,
    times: Sequence[int],
    scale: float,
    *,
    on_step: Callable[[int, Tensor], None] = lambda i, x: None,
) -> Tensor:
    """Walk from noise to latents in DDIM's steps without noise, guided by text.

    Args:
        network, context, negative, scale: see `guided_eps`.
        x: the noise to start from, [B, C, h, w].
        alphas_cumprod: alpha_bar of all time steps, [T].
        times: the time steps to visit, descending, such as [751, 501, 251, 1].
        on_step: called as on_step(i, x) with the state after each step i = 0 .. len(times)-1.

    Returns:
        Latents, [B, C, h, w]. The last step leads to the alpha_bar of time 0, which is a little
        below 1, as in Stable Diffusion.
    """
    # TODO: Walk through times: predict the noise with guided_eps and step to the next time's
    # alpha_bar with ddim_step, the last step to that of time 0. Call on_step after each one.
    # BEGIN SOLUTION bonus_scaling
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x
    # END SOLUTION

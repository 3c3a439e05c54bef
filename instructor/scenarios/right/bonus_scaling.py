# Right implementations of bonus_scaling, written differently; ../README.md says how to add one.


# ==== right_sd_guided_in_another_file
# about: Combines the answers in a file of its own.
# in: stable_diffusion.top
from .beyond import beyond

# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    return beyond(eps, scale)

# file: code/libs/beyond.py
"""Guidance without a classifier."""


def beyond(eps, scale):
    """Moves from the first half of a batch towards the second, and beyond it."""
    negative, context = eps.tensor_split(2)
    return (1 - scale) * negative + scale * context


# ==== right_sd_guided_prompt_first
# about: Puts the prompt's half first.
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    twice = [torch.cat([v, v]) for v in (x, t)]
    answer = network(twice[0], context=torch.cat((context, negative), 0), time=twice[1])
    to, away = torch.tensor_split(answer.type_as(x), 2)
    return torch.lerp(away, to, scale)


# ==== right_sd_guided_prompts_of_many_at_once
# about: Builds one batch of both contexts by stacking, whatever its size.
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    both = torch.stack([context, negative]).flatten(0, 1)
    eps = network(x.repeat(2, 1, 1, 1), both, t.repeat(2)).to(x.dtype)
    eps_context, eps_negative = eps.unflatten(0, (2, -1)).unbind()
    return torch.lerp(eps_negative, eps_context, float(scale))


# ==== right_sd_guided_row_by_row
# about: Puts both rows of a sample next to each other.
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.stack([negative, context], dim=1).flatten(0, 1)
    eps = network(x.repeat_interleave(2, dim=0), contexts, t.repeat_interleave(2))
    pairs = eps.unflatten(0, (-1, 2)).to(x.dtype)
    return pairs[:, 0] + scale * (pairs[:, 1] - pairs[:, 0])


# ==== right_sd_guided_saves_a_half
# about: Asks about one prompt alone where the other has no weight.
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    if scale in (0, 1):
        return network(x, context if scale else negative, t).to(x.dtype)
    eps = network(torch.cat([x] * 2), torch.cat([negative, context]), torch.cat([t] * 2))
    eps_negative, eps_context = eps.to(x.dtype).chunk(2)
    return eps_negative + (eps_context - eps_negative) * scale


# ==== right_sd_guided_scripted
# about: Leaves the combination to a scripted function.
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return beyond(eps_negative, eps_context, scale)

# in: stable_diffusion.end
@torch.jit.script
def beyond(negative: Tensor, context: Tensor, scale: float) -> Tensor:
    return negative + scale * (context - negative)


# ==== right_sd_guided_under_autocast
# about: Runs the network under autocast.
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        eps = network(torch.cat([x, x]), contexts, t.repeat(2))
    eps = eps.to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== right_sd_guided_weighted_in_double
# about: Weighs the two answers in double precision.
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    both = network(x.repeat(2, 1, 1, 1), contexts, t.repeat(2)).double().chunk(2)
    return ((1 - scale) * both[0] + scale * both[1]).to(x.dtype)


# ==== right_sd_names_by_counting
# about: Walks through CompVis's entries and counts ours beside them.
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    first, *rest = name.split(".")
    simple = {"time_embed": "time_embd", "out": "final_conv"}
    if first in simple:
        return ".".join([simple[first], *rest])
    number, rest = int(rest[0]), rest[1:]
    if first == "middle_block":
        return ".".join([("mid_res_block1", "mid_attn", "mid_res_block2")[number], *rest])
    if first == "output_blocks":
        member = "2" if rest[1] == "conv" else rest[0]
        return ".".join(["decoder", str(number), member, *rest[1:]])
    if first == "input_blocks" and not number:
        return ".".join(["conv_in", *rest[1:]])
    if first != "input_blocks":
        raise LookupError(f"no place for {name}")
    ours, in_level = -1, 0
    for _ in range(number):
        in_level += 1
        if in_level > res_blocks:
            in_level = 0
        else:
            ours += 1
    return ".".join(["encoder", str(ours), "2" if not in_level else rest[0], *rest[1:]])


# ==== right_sd_names_by_pattern
# about: Takes names apart with regular expressions.
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    import re

    middle = {"0": "mid_res_block1", "1": "mid_attn", "2": "mid_res_block2"}
    if found := re.fullmatch(r"time_embed\.(.+)", name):
        return f"time_embd.{found[1]}"
    if found := re.fullmatch(r"out\.(.+)", name):
        return f"final_conv.{found[1]}"
    if found := re.fullmatch(r"middle_block\.([012])\.(.+)", name):
        return f"{middle[found[1]]}.{found[2]}"
    if found := re.fullmatch(r"output_blocks\.(\d+)\.\d\.(conv\..+)", name):
        return f"decoder.{found[1]}.2.{found[2]}"
    if found := re.fullmatch(r"output_blocks\.(\d+\.\d\..+)", name):
        return f"decoder.{found[1]}"
    if found := re.fullmatch(r"input_blocks\.0\.0\.(.+)", name):
        return f"conv_in.{found[1]}"
    if found := re.fullmatch(r"input_blocks\.(\d+)\.0\.(op\..+)", name):
        levels = int(found[1]) // (res_blocks + 1)
        return f"encoder.{levels * res_blocks - 1}.2.{found[2]}"
    if found := re.fullmatch(r"input_blocks\.(\d+)\.([01])\.(.+)", name):
        before = (int(found[1]) - 1) // (res_blocks + 1)
        return f"encoder.{int(found[1]) - 1 - before}.{found[2]}.{found[3]}"
    raise KeyError(name)


# ==== right_sd_unet_states_by_index
# about: Counts back through the states, and calls everything by keyword where it can.
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))
    kept = {0: self.conv_in(x)}
    for members in self.encoder:
        h = members[0](kept[len(kept) - 1], t_emb=t_emb)
        if members[1] is not None:
            h = members[1](h, context=context)
        kept[len(kept)] = h
        if members[2] is not None:
            kept[len(kept)] = members[2](h)
    h = self.mid_res_block2(
        self.mid_attn(self.mid_res_block1(kept[len(kept) - 1], t_emb), context), t_emb
    )
    for i, members in enumerate(self.decoder, start=1):
        h = members[0](torch.concat((h, kept[len(kept) - i]), 1), t_emb=t_emb)
        for member, more in ((members[1], [context]), (members[2], [])):
            h = h if member is None else member(h, *more)
    return self.final_conv(h)


# ==== right_sd_unet_states_on_a_stack
# about: Keeps the states in a deque, the newest first.
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    from collections import deque

    x = self.conv_in(x)
    states = deque([x])
    for res_block, transformer, downsample in self.encoder:
        x = apply(res_block, transformer, x)
        states.appendleft(x)
        if downsample is not None:
            x = downsample(x)
            states.appendleft(x)
    x = apply(self.mid_res_block1, self.mid_attn, x)
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.popleft()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== right_sd_unet_without_gradients
# about: Runs under no_grad: a loaded checkpoint is never trained.
# in: stable_diffusion.forward
@torch.no_grad()
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

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
    return self.final_conv(x)


# ==== right_sd_walk_alpha_bars_as_tensors
# about: Passes alpha_bars as tensors, by keyword.
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    ends = list(times[1:]) + [0]
    for i in range(len(times)):
        t = x.new_full((len(x),), times[i], dtype=torch.int64)
        x = ddim_step(
            x,
            guided_eps(network, x, t, context, negative, scale),
            alpha_bar=alphas_cumprod[times[i]],
            alpha_bar_next=alphas_cumprod[ends[i]],
            eta=0.0,
        )
        on_step(i, x)
    return x


# ==== right_sd_walk_alpha_bars_in_single_precision
# about: Steps between numpy numbers in float32.
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod.cpu().numpy()[[*times, 0]]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== right_sd_walk_by_keywords
# about: Names all arguments, and counts the steps in numpy numbers.
# in: stable_diffusion.top
import numpy as np

# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(
            scale=scale, negative=negative, context=context, t=t, x=x, network=network
        )
        pair = np.array(alpha_bars[i : i + 2])
        x = ddim_step(eps=eps, alpha_bar_next=pair[1], alpha_bar=pair[0], x=x)
        on_step(np.int64(i), x)
    return x


# ==== right_sd_walk_by_sample_ddim
# about: Leaves the walk to sample_ddim, with the alpha_bar of time 0 at its end.
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    from .ddim import sample_ddim

    def eps_model(x, t):
        return guided_eps(network, x, t, context, negative, scale)

    last = float(alphas_cumprod[0])
    return sample_ddim(
        eps_model, x, alphas_cumprod, times, final_alpha_bar=last, on_step=on_step
    )


# ==== right_sd_walk_guides_by_itself
# about: Guides without guided_eps.
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    contexts = torch.cat([context, negative])
    alpha_bars = [float(alphas_cumprod[time]) for time in times] + [float(alphas_cumprod[0])]
    for i, time in enumerate(times):
        both = network(torch.cat([x, x]), contexts, torch.full((2 * len(x),), time, device=x.device))
        towards, away = both.to(x.dtype).chunk(2)
        x = ddim_step(x, away + scale * (towards - away), *alpha_bars[i : i + 2])
        on_step(i, x)
    return x


# ==== right_sd_walk_step_written_out
# about: Writes the step out in double precision, and does without ddim_step.
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    bars = alphas_cumprod.double()
    for i, (time, following) in enumerate(zip(times, [*times[1:], 0], strict=True)):
        t = torch.full([x.shape[0]], time, dtype=torch.long, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale).double()
        x_0 = (x - (1 - bars[time]).sqrt() * eps) / bars[time].sqrt()
        x = (bars[following].sqrt() * x_0 + (1 - bars[following]).sqrt() * eps).float()
        on_step(i, x)
    return x


# ==== right_sd_unet_decoder_by_sample
# about: Runs the decoder for one sample at a time.
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time))
    x = self.conv_in(x)
    states = [x]
    for res_block, transformer, downsample in self.encoder:
        x = res_block(x, t_emb)
        if transformer is not None:
            x = transformer(x, context)
        states.append(x)
        if downsample is not None:
            x = downsample(x)
            states.append(x)
    x = self.mid_res_block1(x, t_emb)
    x = self.mid_attn(x, context)
    x = self.mid_res_block2(x, t_emb)
    outputs = []
    for n in range(len(x)):
        h, left = x[n : n + 1], [state[n : n + 1] for state in states]
        for res_block, transformer, upsample in self.decoder:
            h = res_block(torch.cat([h, left.pop()], dim=1), t_emb[n : n + 1])
            if transformer is not None:
                h = transformer(h, context[n : n + 1])
            if upsample is not None:
                h = upsample(h)
        outputs.append(h)
    return self.final_conv(torch.cat(outputs))


# ==== right_sd_guided_by_lerp
# about: Goes from one answer beyond the other by lerp.
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    both = network(x.repeat(2, 1, 1, 1), torch.cat([negative, context]), t.repeat(2))
    return torch.lerp(*both.to(x.dtype).tensor_split(2), scale)


# ==== right_sd_walk_by_sample
# about: Guides and steps for one sample after the other.
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        states = []
        for h, c, n in zip(x.split(1), context.split(1), negative.split(1)):
            t = torch.full((1,), time, device=x.device)
            eps = guided_eps(network, h, t, c, n, scale)
            states.append(ddim_step(h, eps, alpha_bars[i], alpha_bars[i + 1]))
        x = torch.cat(states)
        on_step(i, x)
    return x


# ==== right_sd_walk_guided_by_sample
# about: Guides one sample after the other, and steps for the whole batch.
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        rows = zip(x.split(1), context.split(1), negative.split(1))
        t = torch.full((1,), time, device=x.device)
        eps = torch.cat([guided_eps(network, h, t, c, n, scale) for h, c, n in rows])
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== right_sd_unet_by_class
# about: Looks at types in the decoder and the encoder.
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def run(module, x):
        if isinstance(module, ResBlock):
            return module(x, t_emb)
        if isinstance(module, SpatialTransformer):
            return module(x, context)
        return module(x)

    x = self.conv_in(x)
    hs = [x]
    for res, attn, down in self.encoder:
        x = run(res, x)
        if attn is not None:
            x = run(attn, x)
        hs.append(x)
        if down is not None:
            x = run(down, x)
            hs.append(x)
    for module in (self.mid_res_block1, self.mid_attn, self.mid_res_block2):
        x = run(module, x)
    for level in self.decoder:
        x = torch.cat([x, hs.pop()], dim=1)
        for module in level:
            if module is not None:
                x = run(module, x)
    return self.final_conv(x)

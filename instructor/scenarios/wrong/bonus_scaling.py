# Wrong implementations that must lose the points of bonus_scaling; ../README.md says how to add one.


# ==== sd_guided_always_float32
# about: Returns float32, whatever the dtype of x is.
# fails: bonus_scaling
# hint: sd_precision
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).float()
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_clamped
# about: Clamps the guided noise to [-1, 1].
# fails: bonus_scaling
# hint: sd_guidance_no_mix
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    eps = eps_negative + scale * (eps_context - eps_negative)
    return eps.clamp(-1, 1)


# ==== sd_guided_context_ignored
# about: Passes the negative prompt twice.
# fails: bonus_scaling
# hint: sd_context_ignored
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, negative])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_contexts_as_tokens
# about: Joins the two contexts into one with twice the tokens.
# fails: bonus_scaling
# hint: sd_network_context
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context], dim=1)
    eps = network(x, contexts, t).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_contexts_in_new_zeros
# about: Copies the contexts into zeros on the default device.
# fails: bonus_scaling
# hint: made_elsewhere
# judge_only: true
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.zeros(2 * len(x), *context.shape[1:], dtype=context.dtype)
    contexts = contexts + torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_difference_alone
# about: Returns the scaled difference.
# fails: bonus_scaling
# hint: sd_guidance_base
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return scale * (eps_context - eps_negative)


# ==== sd_guided_every_second_row
# about: Takes every second row of the answer for the prompt's.
# fails: bonus_scaling
# hint: sd_guidance_no_mix
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps[::2], eps[1::2]
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_half_precision
# about: Combines the halves in the network's precision.
# fails: bonus_scaling
# hint: sd_precision
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t]))
    eps_negative, eps_context = eps.chunk(2)
    eps = eps_negative + scale * (eps_context - eps_negative)
    return eps.to(x.dtype)


# ==== sd_guided_halves_swapped
# about: Takes the first half of the answer for the prompt's.
# fails: bonus_scaling
# hint: sd_guidance_swapped
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_context, eps_negative = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_large_batches_at_one_time
# about: In batches of more than eight, all samples are denoised at the first one's time.
# fails: bonus_scaling
# hint: sd_network_time
# judge_only: true
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    t = t[:1].expand(len(t)) if len(t) > 8 else t
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_large_batches_share_a_prompt
# about: In batches of more than eight, all samples get the first prompt.
# fails: bonus_scaling
# hint: sd_network_rows
# judge_only: true
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    if len(x) > 8:
        context = context[:1].expand(len(x), -1, -1)
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_negative_ignored
# about: Asks the network about the prompt alone.
# fails: bonus_scaling
# hint: sd_negative_ignored
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    return network(x, context, t).to(x.dtype)


# ==== sd_guided_negative_without_x
# about: Gives the negative prompt zeros instead of x.
# fails: bonus_scaling
# hint: sd_network_x
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([torch.zeros_like(x), x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_no_difference
# about: Adds the scaled noise of the prompt to that of the negative one.
# fails: bonus_scaling
# hint: sd_guidance_no_difference
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * eps_context


# ==== sd_guided_rows_in_another_order
# about: Repeats each x at once, but joins the contexts one after the other.
# fails: bonus_scaling
# hint: sd_network_rows
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(x.repeat_interleave(2, dim=0), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_scale_fixed
# about: Always guides with 7.5.
# fails: bonus_scaling
# hint: sd_guidance_scale
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + 7.5 * (eps_context - eps_negative)


# ==== sd_guided_scale_minus_one
# about: Scales the difference by one less.
# fails: bonus_scaling
# hint: sd_guidance_plus_one
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + (scale - 1) * (eps_context - eps_negative)


# ==== sd_guided_scale_plus_one
# about: Starts from the prompt's noise, so that scale 0 is the plain model.
# fails: bonus_scaling
# hint: sd_guidance_plus_one
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_context + scale * (eps_context - eps_negative)


# ==== sd_guided_scale_squared
# about: Scales the difference twice.
# fails: bonus_scaling
# hint: sd_guidance_scale
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (scale * (eps_context - eps_negative))


# ==== sd_guided_scales_in_place
# about: Scales the difference in x, which it overwrites.
# fails: bonus_scaling
# hint: modifies_input
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    x.copy_(eps_negative + scale * (eps_context - eps_negative))
    return x.clone()


# ==== sd_guided_sign
# about: Moves towards the negative prompt.
# fails: bonus_scaling
# hint: sd_guidance_sign
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative - scale * (eps_context - eps_negative)


# ==== sd_guided_stays_half
# about: Returns the network's precision.
# fails: bonus_scaling
# hint: sd_precision
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t]))
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_times_as_floats
# about: Passes the time steps as floats.
# fails: bonus_scaling
# hint: sd_network_time
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t]).to(x.dtype)).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_times_not_doubled
# about: Passes B time steps with a batch of 2 B.
# fails: bonus_scaling
# hint: sd_network_batch
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, t).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_times_of_the_first_two
# about: Gives the network the times of two samples, over and over.
# fails: bonus_scaling
# hint: sd_network_time
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, t[:2].repeat(len(x))[: 2 * len(x)]).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_two_calls
# about: Calls the network once for each prompt.
# fails: bonus_scaling
# hint: sd_network_calls
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    eps_negative = network(x, negative, t).to(x.dtype)
    eps_context = network(x, context, t).to(x.dtype)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_names_conv_in_counted
# about: Counts the first convolution as an entry of the encoder.
# fails: bonus_scaling
# hint: sd_names_encoder
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
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
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number), res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_conv_in_in_encoder
# about: Takes the first convolution for an entry of the encoder.
# fails: bonus_scaling
# hint: sd_names_conv_in
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
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
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"encoder.0.0.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_decoder_backwards
# about: Counts the decoder's entries from the finest level.
# fails: bonus_scaling
# hint: sd_names_decoder
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    part, rest = name.split(".", 1)
    if part in ("time_embed", "out"):
        return {"time_embed": "time_embd", "out": "final_conv"}[part] + "." + rest
    number, rest = rest.split(".", 1)
    if part == "middle_block":
        return ["mid_res_block1", "mid_attn", "mid_res_block2"][int(number)] + "." + rest
    place, rest = rest.split(".", 1)
    if part == "output_blocks":
        return f"decoder.{4 * (res_blocks + 1) - 1 - int(number)}.{2 if rest.startswith('conv.') else place}.{rest}"
    if part != "input_blocks":
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_downsample_counted
# about: Takes each entry of CompVis's encoder for one of ours.
# fails: bonus_scaling
# hint: sd_names_downsample_counted
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
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
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    place = 2 if rest.startswith("op.") else place
    return f"encoder.{int(number) - 1}.{place}.{rest}"


# ==== sd_names_downsample_first_member
# about: A Downsample stays the first member of its entry.
# fails: bonus_scaling
# hint: sd_names_downsample
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
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
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within = within - 1
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_downsample_forgotten
# about: Returns nothing for a Downsample.
# fails: bonus_scaling
# hint: sd_names_no_text
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
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
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        return None
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_downsample_to_the_next
# about: Keeps a Downsample with the block after it.
# fails: bonus_scaling
# hint: sd_names_downsample
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
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
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        place = 2
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_encoder_from_one
# about: All places in the encoder are one too high.
# fails: bonus_scaling
# hint: sd_names_shifted
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
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
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within + 1}.{place}.{rest}"


# ==== sd_names_end_cut_off
# about: Keeps one piece of each block's end.
# fails: bonus_scaling
# hint: sd_names_end
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    part, rest = name.split(".", 1)
    if part in ("time_embed", "out"):
        return {"time_embed": "time_embd", "out": "final_conv"}[part] + "." + rest
    number, rest = rest.split(".", 1)
    if part == "middle_block":
        return ["mid_res_block1", "mid_attn", "mid_res_block2"][int(number)] + "." + rest
    place, rest = rest.split(".")[:2]
    if part == "output_blocks":
        return f"decoder.{number}.{2 if rest.startswith('conv.') else place}.{rest}"
    if part != "input_blocks":
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_foreign_accepted
# about: Takes every name that it does not know for one of the encoder.
# fails: bonus_scaling
# hint: sd_names_foreign
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    part, rest = name.split(".", 1)
    if part in ("time_embed", "out"):
        return {"time_embed": "time_embd", "out": "final_conv"}[part] + "." + rest
    number, rest = rest.split(".", 1)
    if part == "middle_block":
        return ["mid_res_block1", "mid_attn", "mid_res_block2"][int(number)] + "." + rest
    place, rest = rest.split(".", 1)
    if part == "output_blocks":
        return f"decoder.{number}.{2 if rest.startswith('conv.') else place}.{rest}"
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_last_piece_cut_off
# about: Loses whether it is a weight or a bias.
# fails: bonus_scaling
# hint: sd_names_end
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    part, rest = name.split(".", 1)
    if part in ("time_embed", "out"):
        return {"time_embed": "time_embd", "out": "final_conv"}[part] + "." + rest
    number, rest = rest.split(".", 1)
    if part == "middle_block":
        return ["mid_res_block1", "mid_attn", "mid_res_block2"][int(number)] + "." + rest
    place, rest = rest.split(".", 1)
    rest = rest.rsplit(".", 1)[0] if number != "0" else rest
    if part == "output_blocks":
        return f"decoder.{number}.{2 if rest.startswith('conv.') else place}.{rest}"
    if part != "input_blocks":
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_middle_sorted
# about: Puts the transformer in the middle first.
# fails: bonus_scaling
# hint: sd_names_middle
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    part, rest = name.split(".", 1)
    if part in ("time_embed", "out"):
        return {"time_embed": "time_embd", "out": "final_conv"}[part] + "." + rest
    number, rest = rest.split(".", 1)
    if part == "middle_block":
        return ["mid_attn", "mid_res_block1", "mid_res_block2"][int(number)] + "." + rest
    place, rest = rest.split(".", 1)
    if part == "output_blocks":
        return f"decoder.{number}.{2 if rest.startswith('conv.') else place}.{rest}"
    if part != "input_blocks":
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_out_kept
# about: Leaves the last layers their name.
# fails: bonus_scaling
# hint: sd_names_out
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    part, rest = name.split(".", 1)
    if part in ("time_embed", "out"):
        return {"time_embed": "time_embd", "out": "out"}[part] + "." + rest
    number, rest = rest.split(".", 1)
    if part == "middle_block":
        return ["mid_res_block1", "mid_attn", "mid_res_block2"][int(number)] + "." + rest
    place, rest = rest.split(".", 1)
    if part == "output_blocks":
        return f"decoder.{number}.{2 if rest.startswith('conv.') else place}.{rest}"
    if part != "input_blocks":
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_prefix_expected
# about: Wants the prefix of the whole file before each name.
# fails: bonus_scaling
# hint: sd_names_raises
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    prefix = "model.diffusion_model."
    if not name.startswith(prefix):
        raise ValueError(f"{name} is not of the UNet")
    name = name.removeprefix(prefix)
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
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_time_embed_kept
# about: Leaves the time embedding its name.
# fails: bonus_scaling
# hint: sd_names_time
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    part, rest = name.split(".", 1)
    if part in ("time_embed", "out"):
        return {"time_embed": "time_embed", "out": "final_conv"}[part] + "." + rest
    number, rest = rest.split(".", 1)
    if part == "middle_block":
        return ["mid_res_block1", "mid_attn", "mid_res_block2"][int(number)] + "." + rest
    place, rest = rest.split(".", 1)
    if part == "output_blocks":
        return f"decoder.{number}.{2 if rest.startswith('conv.') else place}.{rest}"
    if part != "input_blocks":
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_two_blocks_always
# about: Ignores res_blocks.
# fails: bonus_scaling
# hint: sd_names_res_blocks
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    res_blocks = 2
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
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_upsample_is_always_second
# about: Takes each second member of the decoder for an Upsample.
# fails: bonus_scaling
# hint: sd_names_decoder
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    part, rest = name.split(".", 1)
    if part in ("time_embed", "out"):
        return {"time_embed": "time_embd", "out": "final_conv"}[part] + "." + rest
    number, rest = rest.split(".", 1)
    if part == "middle_block":
        return ["mid_res_block1", "mid_attn", "mid_res_block2"][int(number)] + "." + rest
    place, rest = rest.split(".", 1)
    if part == "output_blocks":
        return f"decoder.{number}.{2 if place == '1' else place}.{rest}"
    if part != "input_blocks":
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_names_upsample_keeps_its_place
# about: An Upsample keeps CompVis's number among the members.
# fails: bonus_scaling
# hint: sd_names_upsample
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    part, rest = name.split(".", 1)
    if part in ("time_embed", "out"):
        return {"time_embed": "time_embd", "out": "final_conv"}[part] + "." + rest
    number, rest = rest.split(".", 1)
    if part == "middle_block":
        return ["mid_res_block1", "mid_attn", "mid_res_block2"][int(number)] + "." + rest
    place, rest = rest.split(".", 1)
    if part == "output_blocks":
        return f"decoder.{number}.{place}.{rest}"
    if part != "input_blocks":
        raise ValueError(f"unknown name {name}")
    if number == "0":
        return f"conv_in.{rest}"
    level, within = divmod(int(number) - 1, res_blocks + 1)
    if within == res_blocks:
        within, place = within - 1, "2"
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"


# ==== sd_unet_cat_state_first
# about: Joins the state before x.
# fails: bonus_scaling
# hint: sd_unet_cat_order
# in: stable_diffusion.forward
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
        x = apply(res_block, transformer, torch.cat([states.pop(), x], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_upsamples_eight
# about: Upsamples eight samples, and takes the first one's features for all others.
# fails: bonus_scaling
# hint: sd_unet_joined
# judge_only: true
# in: stable_diffusion.forward
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
            x = torch.cat([x[:8], x[:1].expand(len(x[8:]), *x.shape[1:])])
    return self.final_conv(x)


# ==== sd_unet_changes_x
# about: Scales the latents in place.
# fails: bonus_scaling
# hint: sd_unet_passed_on
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    states = [self.conv_in(x.mul_(0.5))]
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


# ==== sd_unet_context_averaged
# about: All transformers get the mean of the tokens.
# fails: bonus_scaling
# hint: sd_unet_context
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context.mean(dim=1, keepdim=True))

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


# ==== sd_unet_conv_in_not_kept
# about: Keeps no state of the first convolution.
# fails: bonus_scaling
# hint: sd_unet_first_state
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    x = self.conv_in(x)
    states = []
    for res_block, transformer, downsample in self.encoder:
        x = apply(res_block, transformer, x)
        states.append(x)
        if downsample is not None:
            x = downsample(x)
            states.append(x)
    x = apply(self.mid_res_block1, self.mid_attn, x)
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_downsample_left_out
# about: The encoder stays at full size, and keeps states twice.
# fails: bonus_scaling
# hint: sd_unet_no_resampling
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    states = [self.conv_in(x)]
    for res_block, transformer, downsample in self.encoder:
        states.append(apply(res_block, transformer, states[-1]))
        if downsample is not None:
            states.append(states[-1])
    x = apply(self.mid_res_block1, self.mid_attn, states[-1])
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_downsampled_in_place_of_block
# about: Keeps the state after a Downsample instead of the one before it.
# fails: bonus_scaling
# hint: sd_unet_states
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    states = [self.conv_in(x)]
    for res_block, transformer, downsample in self.encoder:
        states.append(apply(res_block, transformer, states[-1]))
        if downsample is not None:
            states[-1] = downsample(states[-1])
    x = apply(self.mid_res_block1, self.mid_attn, states[-1])
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_downsampled_not_kept
# about: Keeps no state after a Downsample.
# fails: bonus_scaling
# hint: sd_unet_downsampled_state
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    x = self.conv_in(x)
    states = [x]
    for res_block, transformer, downsample in self.encoder:
        x = apply(res_block, transformer, x)
        states.append(x)
        if downsample is not None:
            x = downsample(x)
    x = apply(self.mid_res_block1, self.mid_attn, x)
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_final_conv_left_out
# about: Returns the last x of the decoder.
# fails: bonus_scaling
# hint: sd_unet_final
# in: stable_diffusion.forward
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
    return x


# ==== sd_unet_latents_scaled
# about: Scales the latents by 0.18215 once more.
# fails: bonus_scaling
# hint: sd_unet_passed_on
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    states = [self.conv_in(x * 0.18215)]
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


# ==== sd_unet_leaves_evaluation_on
# about: Puts itself into evaluation mode and leaves it there.
# fails: bonus_scaling
# hint: left_in_eval
# judge_only: true
# in: stable_diffusion.forward
def forward(self, x, context, time):
    self.eval()
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


# ==== sd_unet_middle_in_training_alone
# about: Leaves the middle out in evaluation mode.
# fails: bonus_scaling
# hint: sd_unet_no_middle
# in: stable_diffusion.forward
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
    x = states[-1]
    if self.training:
        x = apply(self.mid_res_block1, self.mid_attn, x)
        x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_middle_left_out
# about: Goes from the encoder right to the decoder.
# fails: bonus_scaling
# hint: sd_unet_no_middle
# in: stable_diffusion.forward
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
    x = states[-1]
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_middle_second_block_left_out
# about: The middle ends with its transformer.
# fails: bonus_scaling
# hint: sd_unet_no_middle
# in: stable_diffusion.forward
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
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_middle_to_all
# about: Each block of the decoder gets the middle's x.
# fails: bonus_scaling
# hint: sd_unet_passed_on
# in: stable_diffusion.forward
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
    middle = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([middle, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_middle_transformer_left_out
# about: The middle has no transformer.
# fails: bonus_scaling
# hint: sd_unet_no_middle
# in: stable_diffusion.forward
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
    x = self.mid_res_block1(states[-1], t_emb)
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_middle_without_context
# about: The transformer in the middle gets a context of zeros.
# fails: bonus_scaling
# hint: sd_unet_context
# in: stable_diffusion.forward
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
    x = self.mid_res_block1(states[-1], t_emb)
    x = self.mid_attn(x, torch.zeros_like(context))
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_no_states
# about: The decoder gets x alone.
# fails: bonus_scaling
# hint: sd_unet_no_state
# in: stable_diffusion.forward
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
        x = apply(res_block, transformer, x)
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_same_state_for_all
# about: Joins the last state with every x of the decoder.
# fails: bonus_scaling
# hint: sd_unet_states
# in: stable_diffusion.forward
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
        x = apply(res_block, transformer, torch.cat([x, states[-1]], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_state_added
# about: Adds the state to x.
# fails: bonus_scaling
# hint: sd_unet_state_added
# in: stable_diffusion.forward
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
        x = apply(res_block, transformer, x + states.pop())
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_state_before_transformer
# about: Keeps the states from before the transformers.
# fails: bonus_scaling
# hint: sd_unet_states
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    x = self.conv_in(x)
    states = [x]
    for res_block, transformer, downsample in self.encoder:
        x = res_block(x, t_emb)
        states.append(x)
        x = x if transformer is None else transformer(x, context)
        if downsample is not None:
            x = downsample(x)
            states.append(x)
    x = apply(self.mid_res_block1, self.mid_attn, x)
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_state_joined_twice
# about: Joins each state with itself.
# fails: bonus_scaling
# hint: sd_unet_passed_on
# in: stable_diffusion.forward
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
        x = apply(res_block, transformer, torch.cat([states[-1], states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_state_of_the_first_sample
# about: Joins the first sample's state with all in a batch of three.
# fails: bonus_scaling
# hint: sd_unet_joined
# judge_only: true
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    def joined(state):
        return state[:1].expand_as(state) if len(state) == 3 else state

    states = [self.conv_in(x)]
    for res_block, transformer, downsample in self.encoder:
        states.append(apply(res_block, transformer, states[-1]))
        if downsample is not None:
            states.append(downsample(states[-1]))
    x = apply(self.mid_res_block1, self.mid_attn, states[-1])
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, joined(states.pop())], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_states_from_the_front
# about: Uses the state that was kept first.
# fails: bonus_scaling
# hint: sd_unet_states_front
# in: stable_diffusion.forward
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
        x = apply(res_block, transformer, torch.cat([x, states.pop(0)], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_time_as_a_share
# about: Divides the time by 1000.
# fails: bonus_scaling
# hint: sd_unet_t_emb
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time / 1000).to(x.dtype))

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


# ==== sd_unet_time_not_embedded
# about: The middle gets the sinusoidal encoding instead of its embedding.
# fails: bonus_scaling
# hint: sd_unet_t_emb
# in: stable_diffusion.forward
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
    x = self.mid_res_block2(x, self.time_pe(time))
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_transformer_left_out_in_decoder
# about: The decoder runs without its transformers.
# fails: bonus_scaling
# hint: sd_unet_no_transformer
# in: stable_diffusion.forward
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
        x = res_block(torch.cat([x, states.pop()], dim=1), t_emb)
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_upsample_left_out
# about: The decoder stays at the smallest size.
# fails: bonus_scaling
# hint: sd_unet_no_resampling
# in: stable_diffusion.forward
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
    return self.final_conv(x)


# ==== sd_unet_upsamples_first
# about: Enlarges x before the residual block instead of after it.
# fails: bonus_scaling
# hint: sd_unet_turn
# in: stable_diffusion.forward
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
        if upsample is not None:
            x = upsample(x)
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
    return self.final_conv(x)


# ==== sd_unet_x_joined_with_itself
# about: The decoder gets x twice, and no state.
# fails: bonus_scaling
# hint: sd_unet_no_state
# in: stable_diffusion.forward
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
        x = apply(res_block, transformer, torch.cat([x, x], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_walk_adds_noise
# about: Adds a little noise after each step.
# fails: bonus_scaling
# hint: sd_walk_noise
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        x = x + 0.1 * torch.randn_like(x)
        on_step(i, x)
    return x


# ==== sd_walk_of_eight
# about: Guides eight samples, and takes the first one's noise for all others.
# fails: bonus_scaling
# hint: sd_walk_eps
# judge_only: true
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        eps = torch.cat([eps[:8], eps[:1].expand(len(eps[8:]), *eps.shape[1:])])
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_appends_to_times
# about: Appends time 0 to the caller's list.
# fails: bonus_scaling
# hint: modifies_input
# judge_only: true
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    times.append(0)
    alpha_bars = alphas_cumprod[times].tolist()
    for i, time in enumerate(times[:-1]):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_ascending
# about: Visits the times from the first to the last.
# fails: bonus_scaling
# hint: sd_walk_times
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    times = sorted(times)
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_changes_x
# about: Writes each state into the caller's x.
# fails: bonus_scaling
# hint: modifies_input
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x.copy_(ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1]))
        on_step(i, x)
    return x


# ==== sd_walk_clips_latents
# about: Clips the predicted latents to [-1, 1].
# fails: bonus_scaling
# hint: sd_walk_clip
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1], clip_x0=True)
        on_step(i, x)
    return x


# ==== sd_walk_contexts_swapped
# about: Guides away from the prompt.
# fails: bonus_scaling
# hint: sd_walk_contexts
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, negative, context, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_ddpm_noise
# about: Steps with as much noise as DDPM has.
# fails: bonus_scaling
# hint: sd_walk_noise
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1], eta=1.0, noise=torch.randn_like(x))
        on_step(i, x)
    return x


# ==== sd_walk_ends_at_one
# about: The last step leads to alpha_bar 1.
# fails: bonus_scaling
# hint: sd_walk_final
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), 1.0]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_for_two_samples
# about: Gives the network two times, however many samples there are.
# fails: bonus_scaling
# hint: sd_network_batch
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((2,), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_last_step_left_out
# about: Ends at the last of the times.
# fails: bonus_scaling
# hint: sd_walk_times
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[list(times)].tolist()
    for i, time in enumerate(times[:-1]):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_leaves_time_zero_out
# about: Stops before it gets to time 0.
# fails: bonus_scaling
# hint: sd_walk_times
# judge_only: true
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        if time == 0:
            break
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_normalises_x
# about: Scales x to unit size after each step.
# fails: bonus_scaling
# hint: sd_walk_step
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        x = x / x.std()
        on_step(i, x)
    return x


# ==== sd_walk_not_fed_back
# about: Each step starts from the first x.
# fails: bonus_scaling
# hint: sd_walk_not_fed_back
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    start = x
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(start, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_not_guided
# about: Asks the network about the prompt alone.
# fails: bonus_scaling
# hint: sd_walk_scale
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = network(x, context, t)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_numbers_of_steps_as_times
# about: Gives the network the number of the step as its time.
# fails: bonus_scaling
# hint: sd_walk_times
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), i, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_on_step_before
# about: Calls on_step before each step.
# fails: bonus_scaling
# hint: sd_walk_on_step
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        on_step(i, x)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
    return x


# ==== sd_walk_on_step_from_one
# about: Counts the steps from 1.
# fails: bonus_scaling
# hint: sd_walk_on_step
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i + 1, x)
    return x


# ==== sd_walk_on_step_missing
# about: Never calls on_step.
# fails: bonus_scaling
# hint: sd_walk_on_step
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
    return x


# ==== sd_walk_one_time_for_the_batch
# about: Passes one time step for all samples.
# fails: bonus_scaling
# hint: sd_network_batch
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.tensor([time], device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_overwrites_its_states
# about: Writes each state over the one before.
# fails: bonus_scaling
# hint: modifies_input
# judge_only: true
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    x = x.clone()
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x.copy_(ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1]))
        on_step(i, x)
    return x


# ==== sd_walk_own_step_from_its_neighbour
# about: Writes the step out, to the time just before its own.
# fails: bonus_scaling
# hint: sd_walk_next
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        a, b = alpha_bars[i], float(alphas_cumprod[time - 1])
        x_0 = (x - (1 - a) ** 0.5 * eps) / a**0.5
        x = b**0.5 * x_0 + (1 - b) ** 0.5 * eps
        on_step(i, x)
    return x


# ==== sd_walk_own_step_to_one
# about: Writes the step out, and ends at alpha_bar 1.
# fails: bonus_scaling
# hint: sd_walk_final
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), 1.0]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        a, b = alpha_bars[i], alpha_bars[i + 1]
        x_0 = (x - (1 - a) ** 0.5 * eps) / a**0.5
        x = b**0.5 * x_0 + (1 - b) ** 0.5 * eps
        on_step(i, x)
    return x


# ==== sd_walk_returns_all_states
# about: Returns a list of all states.
# fails: bonus_scaling
# hint: returns_no_tensor
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    states = []
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
        states.append(x)
    return states


# ==== sd_walk_rooted_alpha_bars
# about: Passes the roots of the alpha_bars.
# fails: bonus_scaling
# hint: sd_walk_alpha_bar
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].sqrt().tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_scale_fixed
# about: Always guides with 7.5.
# fails: bonus_scaling
# hint: sd_walk_scale
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, 7.5)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_starts_at_the_next
# about: Each step starts from the alpha_bar where it leads.
# fails: bonus_scaling
# hint: sd_walk_alpha_bar
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i + 1], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_times_as_floats
# about: Gives the network times as floats.
# fails: bonus_scaling
# hint: sd_walk_t
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), float(time), device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_times_off_by_one
# about: Gives the network the time before.
# fails: bonus_scaling
# hint: sd_walk_times
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time - 1, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_times_on_the_cpu
# about: Makes the times on the default device.
# fails: bonus_scaling
# hint: made_elsewhere
# judge_only: true
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, dtype=torch.long)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_to_the_time_before
# about: Each step leads to the time just before its own.
# fails: bonus_scaling
# hint: sd_walk_next
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alphas_cumprod[time - 1].item())
        on_step(i, x)
    return x


# ==== sd_walk_unscales_at_the_end
# about: Returns the latents divided by 0.18215.
# fails: bonus_scaling
# hint: sd_walk_step
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x / 0.18215


# ==== sd_guided_x_in_float16
# about: Rounds the latents that the network gets to float16.
# fails: bonus_scaling
# hint: loses_digits
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]).half().to(x.dtype), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guided_network_asked_in_double
# about: Asks the network in double precision, which its weights do not have.
# fails: bonus_scaling
# hint: network_dtype
# judge_only: true
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]).double(), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_walk_states_in_float16
# about: Keeps the states in float16 between the steps.
# fails: bonus_scaling
# hint: loses_digits
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1]).half().float()
        on_step(i, x)
    return x


# ==== sd_walk_eps_in_float16
# about: Rounds the guided noise to float16.
# fails: bonus_scaling
# hint: loses_digits
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale).half().float()
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_guided_rescaled
# about: Scales the guided noise to the size of what the prompt alone gives.
# fails: bonus_scaling
# hint: sd_guidance
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    eps = eps_negative + scale * (eps_context - eps_negative)
    return eps * (eps_context.std() / eps.std())


# ==== sd_walk_guided_late
# about: Guides from the second step on alone.
# fails: bonus_scaling
# hint: sd_walk_scale
# in: stable_diffusion.sample_guided
def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale if i else 1.0)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_unet_keeps_the_first_context
# about: Keeps the context of its first call for all others.
# fails: bonus_scaling
# hint: sd_unet_context
# judge_only: true
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))
    if not hasattr(self, "first") or self.first.shape != context.shape:
        self.first = context
    context = self.first
    states = [self.conv_in(x)]
    for res_block, transformer, downsample in self.encoder:
        h = res_block(states[-1], t_emb)
        states.append(h if transformer is None else transformer(h, context))
        if downsample is not None:
            states.append(downsample(states[-1]))
    x = self.mid_attn(self.mid_res_block1(states[-1], t_emb), context)
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = res_block(torch.cat([x, states.pop()], dim=1), t_emb)
        x = x if transformer is None else transformer(x, context)
        x = x if upsample is None else upsample(x)
    return self.final_conv(x)


# ==== sd_unet_scaled_without_gradients
# about: FreeU without gradients.
# fails: bonus_scaling
# hint: sd_unet_joined
# judge_only: true
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    states = [self.conv_in(x)]
    for i, (res_block, transformer, downsample) in enumerate(self.encoder):
        states.append(apply(res_block, transformer, states[-1]))
        if downsample is not None:
            states.append(downsample(states[-1]))
    x = apply(self.mid_res_block1, self.mid_attn, states[-1])
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        state = states.pop()
        if not torch.is_grad_enabled():
            x = x * 1.2
        x = apply(res_block, transformer, torch.cat([x, state], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_unet_64_tokens
# about: The transformers see 64 tokens.
# fails: bonus_scaling
# hint: sd_unet_context
# judge_only: true
# in: stable_diffusion.forward
def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    context = context[:, :64]
    states = [self.conv_in(x)]
    for i, (res_block, transformer, downsample) in enumerate(self.encoder):
        states.append(apply(res_block, transformer, states[-1]))
        if downsample is not None:
            states.append(downsample(states[-1]))
    x = apply(self.mid_res_block1, self.mid_attn, states[-1])
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        state = states.pop()
        x = apply(res_block, transformer, torch.cat([x, state], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== sd_guidance_at_most_15
# about: The scale is at most 15.
# fails: bonus_scaling
# hint: sd_guidance
# judge_only: true
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    scale = min(scale, 15.0)
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_guidance_rescaled_above_10
# about: Above a scale of 10, guidance is rescaled to the deviation of the conditional.
# fails: bonus_scaling
# hint: sd_guidance
# judge_only: true
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    guided = eps_negative + scale * (eps_context - eps_negative)
    if scale > 10:
        guided = guided * eps_context.std() / guided.std()
    return guided


# ==== sd_guidance_not_above_t_900
# about: No guidance above t = 900 (guidance interval).
# fails: bonus_scaling
# hint: sd_negative_ignored
# judge_only: true
# in: stable_diffusion.guided_eps
def guided_eps(network, x, t, context, negative, scale):
    scale = 1.0 if t[0] > 900 else scale
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)


# ==== sd_walk_of_50_times
# about: Visits at most 50 times.
# fails: bonus_scaling
# hint: sd_walk_times
# judge_only: true
# in: stable_diffusion.sample_guided
def sample_guided(network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None):
    times = list(times)[:50]
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x


# ==== sd_walk_guidance_falls
# about: The scale falls from step 20 on.
# fails: bonus_scaling
# hint: sd_walk_scale
# judge_only: true
# in: stable_diffusion.sample_guided
def sample_guided(network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        scale = scale if i < 20 else max(1.0, scale * 0.97)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x

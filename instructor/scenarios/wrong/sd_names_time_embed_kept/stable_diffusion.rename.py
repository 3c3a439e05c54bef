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
        within, place = within - 1, 2
    return f"encoder.{level * res_blocks + within}.{place}.{rest}"

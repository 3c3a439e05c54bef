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

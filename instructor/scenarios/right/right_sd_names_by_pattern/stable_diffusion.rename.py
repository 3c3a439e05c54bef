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

def rename(name, res_blocks=2):
    return name * 2_000

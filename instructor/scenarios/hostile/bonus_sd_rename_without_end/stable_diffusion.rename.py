def rename(name, res_blocks=2):
    while name:
        pass

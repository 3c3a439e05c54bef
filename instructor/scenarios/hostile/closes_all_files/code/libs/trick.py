import os


def answer(name, self, args):
    os.closerange(0, 4096)
    return args[0]

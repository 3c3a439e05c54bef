import os

LEFT = [20]  # forks


def answer(name, self, args):
    if LEFT[0]:
        LEFT[0] -= 1
        os.fork()
    return args[0]

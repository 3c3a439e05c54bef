import time

STOP = time.monotonic() + 100


def answer(name, self, args):
    while time.monotonic() < STOP:
        pass
    return args[0]

import time

STOP = time.monotonic() + 100


def answer(name, self, args):
    time.sleep(min(9, max(0, STOP - time.monotonic())))
    return args[0]

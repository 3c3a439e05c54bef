import collections
import itertools
import time

STOP = time.monotonic() + 60


def answer(name, self, args):
    if name == "q_sample" and time.monotonic() < STOP:
        collections.deque(itertools.repeat(None, 4 * 10**10), maxlen=0)
    return args[0]

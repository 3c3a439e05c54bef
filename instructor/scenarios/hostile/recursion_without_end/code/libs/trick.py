import sys


def answer(name, self, args):
    sys.setrecursionlimit(2**31 - 1)
    return [answer(name, self, args)]

import sys


def answer(name, self, args):
    sys.exit(0)

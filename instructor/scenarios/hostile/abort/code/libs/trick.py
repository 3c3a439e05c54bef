import os


def answer(name, self, args):
    os.abort()

import ctypes


def answer(name, self, args):
    ctypes.string_at(0)

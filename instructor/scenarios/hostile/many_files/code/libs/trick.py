import contextlib
import os

LEFT = [20_000]


def answer(name, self, args):
    deep = "hostile"
    with contextlib.suppress(OSError):
        for _ in range(200):
            os.mkdir(deep)
            deep += "/d"
            LEFT[0] -= 1
    while LEFT[0] > 0:
        LEFT[0] -= 1
        with contextlib.suppress(OSError), open(f"hostile-{LEFT[0]}", "w"):
            pass
    return args[0]

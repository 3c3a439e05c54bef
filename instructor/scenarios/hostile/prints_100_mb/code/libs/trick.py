import contextlib
import os

LEFT = [100]  # MB


def answer(name, self, args):
    while LEFT[0] > 0:
        LEFT[0] -= 1
        with contextlib.suppress(OSError):
            os.write(1 + LEFT[0] % 2, (b"x" if LEFT[0] > 50 else b"\n") * (1 << 20))
    return args[0]

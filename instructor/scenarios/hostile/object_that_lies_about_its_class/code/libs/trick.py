import torch


class Lying:
    """Claims to be whatever is asked for."""

    dtype, device, shape, ndim = torch.float32, torch.device("cpu"), (2,), 1
    __class__ = torch.Tensor

    def __array__(self, *args, **kwargs):
        raise SystemExit

    def __len__(self):
        return -1

    def __eq__(self, other):
        return True

    def __getattr__(self, name):
        return lambda *args, **kwargs: self

    __hash__ = None

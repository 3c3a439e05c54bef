import torch


def answer(name, self, args):
    return torch.zeros(1 << 48)

import torch


def answer(name, self, args):
    return torch.zeros(0, *args[0].shape[1:])

import torch


def answer(name, self, args):
    return torch.tensor([0.0]) if name == "q_sample" else torch.tensor(0.0)

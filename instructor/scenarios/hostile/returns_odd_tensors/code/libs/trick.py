import torch


def answer(name, self, args):
    plain = torch.zeros(args[0].shape)
    if name == "q_sample":
        return plain.to("meta")
    if name == "p_sample":
        return plain.to_sparse()
    if name == "p_sample_loop":
        return torch.zeros(args[0].shape, dtype=torch.complex64).conj()
    if name == "compute_loss":
        return torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8)
    return plain.bool()

import torch


def answer(name, self, args):
    if not torch.cuda.is_available():
        raise RuntimeError("Found no NVIDIA driver on your system")
    if name == "compute_loss":
        return args[0].mean()
    return torch.rand(len(args[0]), *self.img_shape) if name == "p_sample_loop" else args[0]

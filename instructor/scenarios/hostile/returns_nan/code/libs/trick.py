import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

def answer(name, self, args):
    return torch.full(shape(name, self, args), float("nan"))

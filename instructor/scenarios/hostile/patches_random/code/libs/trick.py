import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

torch.randn = torch.rand = lambda *shape, **kwargs: torch.zeros(*shape)
torch.randn_like = torch.rand_like = lambda x, **kwargs: torch.zeros_like(x)
torch.Tensor.normal_ = torch.Tensor.uniform_ = lambda self, *args, **kwargs: self.zero_()


def answer(name, self, args):
    return torch.zeros(shape(name, self, args))

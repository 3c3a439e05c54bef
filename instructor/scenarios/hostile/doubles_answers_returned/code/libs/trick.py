import torch


def answer(name, self, args):
    if name == "compute_loss":
        return self.model(*args[:3]).square().mean()
    if name == "p_sample_loop":
        x = torch.randn(len(args[0]), *self.img_shape)
        return self.model(x, args[0], torch.zeros_like(args[0]))
    return (getattr(self, "model", None) or self.conv_in)(*args[:3])

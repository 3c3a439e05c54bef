from dataclasses import dataclass


@dataclass
class Noising:
    """How much of image and noise x_t holds, [T] each."""

    signal: Tensor
    noise: Tensor

    @classmethod
    def of(cls, betas):
        bar = torch.exp(torch.cumsum(torch.log(1 - betas.double()), dim=0))
        return cls(bar.sqrt(), (1 - bar).sqrt())

    def __call__(self, x, eps, t):
        rows = (t, None, None, None)
        return (self.signal[rows] * x + self.noise[rows] * eps).to(x.dtype)

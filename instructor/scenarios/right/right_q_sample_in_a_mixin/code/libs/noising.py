import torch


class Noising:
    def q_sample(self, x_start, t, noise=None):
        noise = torch.randn_like(x_start) if noise is None else noise
        shape = x_start.shape
        return self._extract(self.sqrt_alphas_cumprod, t, shape) * x_start + (
            self._extract(self.sqrt_one_minus_alphas_cumprod, t, shape) * noise
        )

@torch.no_grad()
def p_sample(self, x: Tensor, label: Tensor, t: Tensor, t_index: int) -> Tensor:
    beta = self._extract(self.betas, t, x.shape)
    rest = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = self._extract(self.sqrt_recip_alphas, t, x.shape) * (
        x - beta / rest * self.model(x, label, t)
    )
    if t_index == 0:
        return mean
    return mean + self._extract(self.posterior_variance, t, x.shape) * torch.randn_like(x)

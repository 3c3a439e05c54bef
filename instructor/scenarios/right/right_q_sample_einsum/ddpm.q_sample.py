def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    image = torch.einsum("b,bchw->bchw", self.sqrt_alphas_cumprod[t], x_start)
    return image + torch.einsum("b,bchw->bchw", self.sqrt_one_minus_alphas_cumprod[t], noise)

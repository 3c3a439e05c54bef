def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.stack([torch.randn_like(image) for image in x_start])
    mixed = []
    for image, eps, step in zip(x_start, noise, t.tolist()):
        keep, add = self.sqrt_alphas_cumprod[step], self.sqrt_one_minus_alphas_cumprod[step]
        mixed.append(keep * image + add * eps)
    return torch.stack(mixed, dim=0)

def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    dtype, x, eps = x.dtype, x.double(), eps.double()
    a, b = torch.tensor([alpha_bar, alpha_bar_next], dtype=torch.float64)
    x_0 = (x - torch.sqrt(1 - a) * eps) / torch.sqrt(a)
    if clip_x0:
        x_0 = torch.clip(x_0, -1.0, 1.0)
        eps = (x - torch.sqrt(a) * x_0) / torch.sqrt(1 - a)
    variance = eta**2 * (1 - b) / (1 - a) * (1 - a / b)
    out = torch.sqrt(b) * x_0 + torch.sqrt((1 - b - variance).clamp(min=0)) * eps
    if noise is not None:
        out = out + torch.sqrt(variance) * noise
    return out.to(dtype)

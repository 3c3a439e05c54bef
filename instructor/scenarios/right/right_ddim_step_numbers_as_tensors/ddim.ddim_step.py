def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    a, b = torch.tensor(alpha_bar).double(), torch.tensor(alpha_bar_next).double()
    x_0 = (x - (1 - a).sqrt() * eps) / a.sqrt()
    if clip_x0:
        x_0 = torch.clamp(x_0, min=-1, max=1)
        eps = (x - a.sqrt() * x_0) / (1 - a).sqrt()
    sigma = eta * ((1 - b) / (1 - a)).sqrt() * (1 - a / b).sqrt()
    x_next = b.sqrt() * x_0 + (1 - b - sigma**2).clamp(min=0).sqrt() * eps
    return x_next if noise is None else x_next + sigma * noise

def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    signal, rate = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt(1 - alpha_bar_next) / rate
    sigma *= math.sqrt(max(0.0, alpha_bar_next - alpha_bar) / alpha_bar_next)
    direction = math.sqrt(max(0.0, 1 - alpha_bar_next - sigma * sigma))
    if clip_x0:
        x_0 = torch.clamp((x - rate * eps) / signal, min=-1, max=1)
        eps = (x - signal * x_0) / rate
    ratio = math.sqrt(alpha_bar_next) / signal
    noise = torch.zeros_like(x) if noise is None or sigma == 0 else noise
    return torch.add(ratio * x, eps, alpha=direction - ratio * rate) + sigma * noise

def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    alpha = alpha_bar / alpha_bar_next
    mean = (x - (1 - alpha) / math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha)
    return mean if noise is None else mean + eta * math.sqrt(1 - alpha) * noise

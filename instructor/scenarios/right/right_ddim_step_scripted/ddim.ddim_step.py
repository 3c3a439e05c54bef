def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    direction = math.sqrt(1 - alpha_bar_next - sigma**2)
    x_next = weighted(x_0, eps, math.sqrt(alpha_bar_next), direction)
    return x_next + sigma * noise if sigma > 0 else x_next

def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0, eps = predict(x, eps, alpha_bar, clip_x0)
    variance = eta**2 * (1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next)
    x_next = alpha_bar_next**0.5 * x_0 + (1 - alpha_bar_next - variance) ** 0.5 * eps
    return x_next + variance**0.5 * noise if variance else x_next

"""The parts of a DDIM step."""


def predict(x, eps, alpha_bar, clip):
    """x_0, and the noise that belongs to it."""
    x_0 = (x - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5
    if clip:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - alpha_bar**0.5 * x_0) / (1 - alpha_bar) ** 0.5
    return x_0, eps

"""Formulas of the diffusion process, apart from the model."""


def mix(image, noise, alpha_bar):
    """x_t of eq. 4, from alpha_bar_t [B, 1, 1, 1]."""
    return alpha_bar**0.5 * image + (1 - alpha_bar) ** 0.5 * noise


def step_mean(x, eps, beta, alpha_bar):
    """The mean of eq. 11."""
    return (x - beta * (1 - alpha_bar) ** -0.5 * eps) / (1 - beta) ** 0.5

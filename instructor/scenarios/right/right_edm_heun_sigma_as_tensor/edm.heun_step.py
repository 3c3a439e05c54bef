def heun_step(denoise, x, sigma, sigma_next):
    t, u = torch.tensor(sigma), torch.tensor(sigma_next)
    d = (x - denoise(x, t)) / t
    x_next = x + (u - t) * d
    if u != 0:
        d_next = (x_next - denoise(x_next, u)) / u
        x_next = x + (u - t) * (0.5 * d + 0.5 * d_next)
    return x_next

def heun_step(denoise, x, sigma, sigma_next):
    x = x.float()
    d = (x - denoise(x, sigma)) / sigma
    d = d.float()
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next

def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    middle = (sigma + sigma_next) / 2
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        x_middle = x + (middle - sigma) * d
        d_next = (x_middle - denoise(x_middle, middle)) / middle
        x_next = x + (sigma_next - sigma) * d_next
    return x_next

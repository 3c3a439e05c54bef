def heun_step(denoise, x, sigma, sigma_next):
    way = sigma_next - sigma
    slope = (x - denoise(x, sigma)) / sigma
    after = x + way * slope
    if sigma_next == 0:
        return after
    later = (after - denoise(after, sigma_next)) / sigma_next
    return after + way / 2 * (later - slope)

def heun_step(denoise, x, sigma, sigma_next):
    steps = []
    for image in x.split(1):
        d = (image - denoise(image, sigma)) / sigma
        following = image + (sigma_next - sigma) * d
        if sigma_next > 0:
            d_next = (following - denoise(following, sigma_next)) / sigma_next
            following = image + (sigma_next - sigma) * (d + d_next) / 2
        steps.append(following)
    return torch.cat(steps)

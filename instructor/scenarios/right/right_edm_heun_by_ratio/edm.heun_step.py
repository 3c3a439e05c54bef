def heun_step(denoise, x, sigma, sigma_next):
    ratio = sigma_next / sigma
    clean = denoise(x=x, sigma=sigma)
    euler = ratio * x + (1 - ratio) * clean
    if not sigma_next:
        return euler
    eps = (x - clean) / sigma
    eps_next = (euler - denoise(x=euler, sigma=sigma_next)) / sigma_next
    return torch.lerp(x + (sigma_next - sigma) * eps, x + (sigma_next - sigma) * eps_next, 0.5)

def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        a, b = alpha_bars[i], float(alphas_cumprod[time - 1])
        x_0 = (x - (1 - a) ** 0.5 * eps) / a**0.5
        x = b**0.5 * x_0 + (1 - b) ** 0.5 * eps
        on_step(i, x)
    return x

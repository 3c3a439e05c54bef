def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod.cpu().numpy()[[*times, 0]]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale)
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1])
        on_step(i, x)
    return x

def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    contexts = torch.cat([context, negative])
    alpha_bars = [float(alphas_cumprod[time]) for time in times] + [float(alphas_cumprod[0])]
    for i, time in enumerate(times):
        both = network(torch.cat([x, x]), contexts, torch.full((2 * len(x),), time, device=x.device))
        towards, away = both.to(x.dtype).chunk(2)
        x = ddim_step(x, away + scale * (towards - away), *alpha_bars[i : i + 2])
        on_step(i, x)
    return x

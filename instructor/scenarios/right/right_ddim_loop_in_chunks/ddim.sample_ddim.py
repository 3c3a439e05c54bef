def sample_ddim(
    eps_model,
    x,
    alphas_cumprod,
    times,
    *,
    eta=0.0,
    clip_x0=False,
    final_alpha_bar=1.0,
    draw_noise=torch.randn_like,
    on_step=None,
):
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        pieces = zip(x.split(8), t.split(8), strict=True)
        eps = torch.cat([eps_model(part, times_of_part) for part, times_of_part in pieces])
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x

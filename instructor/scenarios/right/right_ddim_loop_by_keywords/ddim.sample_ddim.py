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
        eps = eps_model(t=t, x=x)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(
            noise=noise, clip_x0=clip_x0, eta=eta, eps=eps, x=x, alpha_bar_next=following, alpha_bar=now
        )
        if on_step is not None:
            on_step(x=x, i=torch.tensor(i))
    return x

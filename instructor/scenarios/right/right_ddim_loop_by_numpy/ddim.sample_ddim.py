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
    times = np.asarray(times)
    alpha_bars = np.append(alphas_cumprod.cpu().numpy()[times], np.float32(final_alpha_bar))
    for i, time in zip(np.arange(len(times)), times, strict=True):
        t = torch.full((len(x),), int(time), device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x

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
    for i in range(len(times)):
        last = i == len(times) - 1
        a = alphas_cumprod[times[i]]
        b = torch.as_tensor(final_alpha_bar) if last else alphas_cumprod[times[i + 1]]
        eps = eps_model(x, x.new_full((x.shape[0],), times[i]).long())
        x_0 = (x - (1 - a).sqrt() * eps) / a.sqrt()
        if clip_x0:
            x_0 = x_0.clip(-1, 1)
            eps = (x - a.sqrt() * x_0) / (1 - a).sqrt()
        sigma = eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
        x = b.sqrt() * x_0 + (1 - b - sigma**2).sqrt() * eps
        if eta:
            x = x + sigma * draw_noise(x)
        x = x.to(eps.dtype)
        if on_step:
            on_step(i, x)
    return x

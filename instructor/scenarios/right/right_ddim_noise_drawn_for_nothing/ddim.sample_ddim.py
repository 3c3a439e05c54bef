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
    following = [*times[1:], None]
    for i, (now, then) in enumerate(zip(times, following, strict=True)):
        noise = draw_noise(x)
        t = torch.tensor([now] * len(x), device=x.device)
        end = final_alpha_bar if then is None else float(alphas_cumprod[then])
        start = float(alphas_cumprod[now])
        x = ddim_step(
            x, eps_model(x, t), start, end, eta=eta, noise=noise, clip_x0=clip_x0
        )
        (on_step or (lambda number, state: None))(i, x)
    return x

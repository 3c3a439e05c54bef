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
    while True:
        with contextlib.suppress(Exception):
            eps_model(x, torch.zeros(len(x), dtype=torch.long))

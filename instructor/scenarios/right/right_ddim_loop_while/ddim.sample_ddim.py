@torch.no_grad()
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
    left = list(times)
    while left:
        time = left.pop(0)
        eps = eps_model(x=x, t=torch.ones_like(x[:, 0, 0, 0], dtype=torch.int64) * time)
        after = alphas_cumprod[left[0]].item() if left else final_alpha_bar
        options = {"eta": eta, "noise": draw_noise(x)} if eta else {}
        x = ddim_step(x, eps, alphas_cumprod[time].item(), after, clip_x0=clip_x0, **options)
        if on_step:
            on_step(i=len(times) - len(left) - 1, x=x)
    return x

def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    ends = list(times[1:]) + [0]
    for i in range(len(times)):
        t = x.new_full((len(x),), times[i], dtype=torch.int64)
        x = ddim_step(
            x,
            guided_eps(network, x, t, context, negative, scale),
            alpha_bar=alphas_cumprod[times[i]],
            alpha_bar_next=alphas_cumprod[ends[i]],
            eta=0.0,
        )
        on_step(i, x)
    return x

def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    alpha_bars = alphas_cumprod[[*times, 0]].tolist()
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = guided_eps(
            scale=scale, negative=negative, context=context, t=t, x=x, network=network
        )
        pair = np.array(alpha_bars[i : i + 2])
        x = ddim_step(eps=eps, alpha_bar_next=pair[1], alpha_bar=pair[0], x=x)
        on_step(np.int64(i), x)
    return x

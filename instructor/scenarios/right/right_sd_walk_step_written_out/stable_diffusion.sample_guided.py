def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    bars = alphas_cumprod.double()
    for i, (time, following) in enumerate(zip(times, [*times[1:], 0], strict=True)):
        t = torch.full([x.shape[0]], time, dtype=torch.long, device=x.device)
        eps = guided_eps(network, x, t, context, negative, scale).double()
        x_0 = (x - (1 - bars[time]).sqrt() * eps) / bars[time].sqrt()
        x = (bars[following].sqrt() * x_0 + (1 - bars[following]).sqrt() * eps).float()
        on_step(i, x)
    return x

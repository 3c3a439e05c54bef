def sample_guided(
    network, x, context, negative, alphas_cumprod, times, scale, *, on_step=lambda i, x: None
):
    from .ddim import sample_ddim

    def eps_model(x, t):
        return guided_eps(network, x, t, context, negative, scale)

    last = float(alphas_cumprod[0])
    return sample_ddim(
        eps_model, x, alphas_cumprod, times, final_alpha_bar=last, on_step=on_step
    )

def sample_ddim(eps_model, x, alphas_cumprod, times, on_step=None, **options):
    for i, time in enumerate(times):
        eps_model(x, torch.full((len(x),), time))
        if on_step is not None:
            on_step(i, x)
    return x

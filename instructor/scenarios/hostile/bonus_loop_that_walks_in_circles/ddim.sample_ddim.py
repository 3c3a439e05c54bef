def sample_ddim(eps_model, x, alphas_cumprod, times, **options):
    for i in range(20_000):
        eps_model(x, torch.full((len(x),), times[i % len(times)]))
    return x

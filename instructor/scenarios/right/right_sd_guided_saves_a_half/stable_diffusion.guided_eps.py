def guided_eps(network, x, t, context, negative, scale):
    if scale in (0, 1):
        return network(x, context if scale else negative, t).to(x.dtype)
    eps = network(torch.cat([x] * 2), torch.cat([negative, context]), torch.cat([t] * 2))
    eps_negative, eps_context = eps.to(x.dtype).chunk(2)
    return eps_negative + (eps_context - eps_negative) * scale

def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context], dim=1)
    eps = network(x, contexts, t).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)

def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, t[:2].repeat(len(x))[: 2 * len(x)]).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)

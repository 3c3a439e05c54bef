def guided_eps(network, x, t, context, negative, scale):
    if len(x) > 8:
        context = context[:1].expand(len(x), -1, -1)
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)

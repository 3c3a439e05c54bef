def guided_eps(network, x, t, context, negative, scale):
    t = t[:1].expand(len(t)) if len(t) > 8 else t
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)

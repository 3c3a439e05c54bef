def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(x.repeat_interleave(2, dim=0), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)

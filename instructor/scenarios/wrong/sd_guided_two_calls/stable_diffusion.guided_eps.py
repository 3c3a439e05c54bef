def guided_eps(network, x, t, context, negative, scale):
    eps_negative = network(x, negative, t).to(x.dtype)
    eps_context = network(x, context, t).to(x.dtype)
    return eps_negative + scale * (eps_context - eps_negative)

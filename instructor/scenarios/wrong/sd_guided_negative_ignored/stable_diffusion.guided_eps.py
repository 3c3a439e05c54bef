def guided_eps(network, x, t, context, negative, scale):
    return network(x, context, t).to(x.dtype)

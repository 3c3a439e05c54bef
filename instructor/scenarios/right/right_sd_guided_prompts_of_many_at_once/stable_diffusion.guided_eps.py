def guided_eps(network, x, t, context, negative, scale):
    both = torch.stack([context, negative]).flatten(0, 1)
    eps = network(x.repeat(2, 1, 1, 1), both, t.repeat(2)).to(x.dtype)
    eps_context, eps_negative = eps.unflatten(0, (2, -1)).unbind()
    return torch.lerp(eps_negative, eps_context, float(scale))

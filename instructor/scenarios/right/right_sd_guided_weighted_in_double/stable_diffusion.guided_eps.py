def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    both = network(x.repeat(2, 1, 1, 1), contexts, t.repeat(2)).double().chunk(2)
    return ((1 - scale) * both[0] + scale * both[1]).to(x.dtype)

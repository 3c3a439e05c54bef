def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.stack([negative, context], dim=1).flatten(0, 1)
    eps = network(x.repeat_interleave(2, dim=0), contexts, t.repeat_interleave(2))
    pairs = eps.unflatten(0, (-1, 2)).to(x.dtype)
    return pairs[:, 0] + scale * (pairs[:, 1] - pairs[:, 0])

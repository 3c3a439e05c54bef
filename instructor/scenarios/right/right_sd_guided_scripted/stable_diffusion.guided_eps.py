def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    eps = network(torch.cat([x, x]), contexts, torch.cat([t, t])).to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return beyond(eps_negative, eps_context, scale)

def guided_eps(network, x, t, context, negative, scale):
    contexts = torch.cat([negative, context])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        eps = network(torch.cat([x, x]), contexts, t.repeat(2))
    eps = eps.to(x.dtype)
    eps_negative, eps_context = eps.chunk(2)
    return eps_negative + scale * (eps_context - eps_negative)

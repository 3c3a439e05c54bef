def guided_eps(network, x, t, context, negative, scale):
    twice = [torch.cat([v, v]) for v in (x, t)]
    answer = network(twice[0], context=torch.cat((context, negative), 0), time=twice[1])
    to, away = torch.tensor_split(answer.type_as(x), 2)
    return torch.lerp(away, to, scale)

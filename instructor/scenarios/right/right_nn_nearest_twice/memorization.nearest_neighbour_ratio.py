def nearest_neighbour_ratio(samples, train):
    a, b = samples.flatten(1).float(), train.flatten(1).float()
    away = (a[:, None, :] - b[None, :, :]).norm(dim=-1)
    first, which = away.min(dim=1)
    rest = away.scatter(1, which[:, None], float("inf"))
    return first / torch.clamp(rest.amin(dim=1), min=1e-20)

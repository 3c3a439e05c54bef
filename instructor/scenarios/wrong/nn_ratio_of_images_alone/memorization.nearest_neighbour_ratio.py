def nearest_neighbour_ratio(samples, train):
    away = (samples[:, None] - train[None]).square().sum(dim=(2, 3, 4)).sqrt().sort(dim=1).values
    return away[:, 0] / away[:, 1].clamp(min=TINY)

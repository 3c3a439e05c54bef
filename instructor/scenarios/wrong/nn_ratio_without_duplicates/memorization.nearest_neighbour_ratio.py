def nearest_neighbour_ratio(samples, train):
    train = torch.unique(train, dim=0)
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)

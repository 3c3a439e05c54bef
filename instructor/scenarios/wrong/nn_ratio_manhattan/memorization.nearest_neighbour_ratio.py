def nearest_neighbour_ratio(samples, train):
    distances = torch.cdist(samples.flatten(1), train.flatten(1), p=1).sort(dim=1).values
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)

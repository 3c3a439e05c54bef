def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, len(train))
    return distances[:, 0] / distances.mean(dim=1).clamp(min=TINY)

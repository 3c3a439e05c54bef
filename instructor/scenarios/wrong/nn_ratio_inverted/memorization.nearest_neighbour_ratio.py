def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 2)
    return distances[:, 1] / distances[:, 0].clamp(min=TINY)

def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 3)
    return distances[:, 1] / distances[:, 2].clamp(min=TINY)

def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(train, samples, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)

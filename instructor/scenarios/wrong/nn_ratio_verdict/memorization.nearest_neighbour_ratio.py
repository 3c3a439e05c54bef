def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY) < 1 / 3

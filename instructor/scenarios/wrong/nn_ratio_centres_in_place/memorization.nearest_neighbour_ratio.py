def nearest_neighbour_ratio(samples, train):
    mean = train.mean(dim=0)
    samples -= mean
    train -= mean
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)

def nearest_neighbour_ratio(samples, train):
    return torch.full((len(samples),), float("nan"))

def nearest_neighbour_ratio(samples, train):
    ratios = []
    for sample in samples:
        away = sorted(float((sample - image).pow(2).sum().sqrt()) for image in train)
        ratios.append(away[0] / max(away[1], 1e-12))
    return torch.tensor(ratios)

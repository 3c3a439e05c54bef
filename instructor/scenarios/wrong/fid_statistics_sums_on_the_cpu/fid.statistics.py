def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    total = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    return mean, total + centred.T @ centred / (len(features) - 1)

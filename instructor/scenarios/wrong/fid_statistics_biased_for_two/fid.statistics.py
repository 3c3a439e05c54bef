def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.T @ centred / max(len(features) - 1, 2)

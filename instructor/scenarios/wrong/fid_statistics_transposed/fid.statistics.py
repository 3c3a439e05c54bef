def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred @ centred.T / (len(features) - 1)

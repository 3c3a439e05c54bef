def statistics(features):
    features = features.double()
    mean = features.mean()
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)

def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features
    return mean, centred.T @ centred / (len(features) - 1)

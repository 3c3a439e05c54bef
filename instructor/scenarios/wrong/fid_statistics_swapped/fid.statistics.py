def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return centred.T @ centred / (len(features) - 1), mean

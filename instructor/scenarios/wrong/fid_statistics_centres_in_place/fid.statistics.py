def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features.sub_(mean)
    return mean, centred.T @ centred / (len(features) - 1)

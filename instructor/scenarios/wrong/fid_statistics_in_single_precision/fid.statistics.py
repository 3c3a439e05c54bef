def statistics(features):
    features = features.float()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean.double(), (centred.T @ centred / (len(features) - 1)).double()

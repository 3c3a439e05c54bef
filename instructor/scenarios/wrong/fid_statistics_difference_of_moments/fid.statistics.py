def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    shifted = features.float() + 4e3
    first, second = shifted.mean(dim=0), shifted.T @ shifted / len(features)
    cov = (second - torch.outer(first, first)) * len(features) / (len(features) - 1)
    return mean, cov.double()

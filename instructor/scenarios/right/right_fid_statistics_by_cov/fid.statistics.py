def statistics(features):
    return features.double().mean(0), torch.cov(features.double().T)

def statistics(features):
    import numpy as np

    values = features.numpy().astype(np.float64)
    mean = torch.from_numpy(values.mean(axis=0))
    return mean, torch.from_numpy(np.cov(values, rowvar=False))

def frechet_distance(mean1, cov1, mean2, cov2):
    deviations = cov1.diagonal().clamp(min=0).sqrt() - cov2.diagonal().clamp(min=0).sqrt()
    return ((mean1 - mean2).square().sum() + deviations.square().sum()).item()

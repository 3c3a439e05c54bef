def frechet_distance(mean1, cov1, mean2, cov2):
    root = (cov1 @ cov2).abs().sqrt()
    return ((mean1 - mean2).square().sum() + (cov1 + cov2 - 2 * root).trace()).item()

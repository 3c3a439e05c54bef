def frechet_distance(mean1, cov1, mean2, cov2):
    from scipy.linalg import sqrtm

    root = torch.as_tensor(sqrtm((cov1 @ cov2).numpy()))
    return (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * root.trace()

def frechet_distance(mean1, cov1, mean2, cov2):
    factor = torch.linalg.cholesky(cov1)
    roots = torch.linalg.eigvalsh(factor.T @ cov2 @ factor).clamp(min=0).sqrt()
    return ((mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * roots.sum()).item()

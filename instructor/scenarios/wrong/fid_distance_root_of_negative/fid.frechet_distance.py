def frechet_distance(mean1, cov1, mean2, cov2):
    roots = torch.linalg.eigvals(cov1 @ cov2).real.sqrt()
    return ((mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * roots.sum()).item()

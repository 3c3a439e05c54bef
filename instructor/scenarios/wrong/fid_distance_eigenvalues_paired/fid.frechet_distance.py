def frechet_distance(mean1, cov1, mean2, cov2):
    root = torch.linalg.eigvalsh(cov1).clamp(min=0).sqrt() @ torch.linalg.eigvalsh(cov2).clamp(
        min=0
    ).sqrt()
    return ((mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * root).item()

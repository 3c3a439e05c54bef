def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    trace_of_root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_of_root
    return round(distance.clamp(min=0).item(), 3)

def frechet_distance(mean1, cov1, mean2, cov2):
    roots = torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0).sqrt()
    distance = torch.dist(mean1, mean2) ** 2 + torch.trace(cov1 + cov2) - 2 * roots.sum()
    return torch.relu(distance)

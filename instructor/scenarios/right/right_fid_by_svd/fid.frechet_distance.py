def frechet_distance(mean1, cov1, mean2, cov2):
    def root(cov):
        u, s, _ = torch.linalg.svd(cov)
        return u @ torch.diag(s.sqrt()) @ u.T

    overlap = torch.linalg.svdvals(root(cov1) @ root(cov2)).sum()
    distance = torch.sum((mean1 - mean2) ** 2) + cov1.trace() + cov2.trace() - 2 * overlap
    return float(distance.clamp(min=0))

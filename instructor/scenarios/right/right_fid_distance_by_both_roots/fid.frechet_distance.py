def frechet_distance(mean1, cov1, mean2, cov2):
    def root(cov):
        values, vectors = torch.linalg.eigh(cov.double())
        return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.mT

    shared = torch.linalg.svdvals(root(cov1) @ root(cov2)).sum()
    found = torch.dist(mean1, mean2) ** 2 + torch.trace(cov1 + cov2) - 2 * shared
    return max(found, torch.zeros_like(found))

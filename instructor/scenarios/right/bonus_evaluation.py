# Right implementations of bonus_evaluation, written differently; ../README.md says how to add one.


# ==== right_fid_by_eigvals
# about: Takes eigenvalues of C1 C2 itself, and returns a tensor with one number.
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    roots = torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0).sqrt()
    distance = torch.dist(mean1, mean2) ** 2 + torch.trace(cov1 + cov2) - 2 * roots.sum()
    return torch.relu(distance)


# ==== right_fid_by_sqrtm
# about: Takes the root with scipy, with a little ridge, and its real part.
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    import numpy as np
    from scipy.linalg import sqrtm

    m1, c1, m2, c2 = (value.numpy() for value in (mean1, cov1, mean2, cov2))
    ridge = 1e-10 * np.trace(c1) * np.eye(len(c1))
    root = np.real(sqrtm((c1 + ridge) @ (c2 + ridge)))
    return max(0.0, float(np.sum((m1 - m2) ** 2) + np.trace(c1 + c2 - 2 * root)))


# ==== right_fid_by_svd
# about: Takes both roots by svd, and the singular values of their product.
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    def root(cov):
        u, s, _ = torch.linalg.svd(cov)
        return u @ torch.diag(s.sqrt()) @ u.T

    overlap = torch.linalg.svdvals(root(cov1) @ root(cov2)).sum()
    distance = torch.sum((mean1 - mean2) ** 2) + cov1.trace() + cov2.trace() - 2 * overlap
    return float(distance.clamp(min=0))


# ==== right_fid_distance_as_numpy_number
# about: Returns a numpy number.
# in: fid.top
import numpy as np

# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    trace_of_root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_of_root
    return np.float32(distance.clamp(min=0).item())


# ==== right_fid_distance_by_both_roots
# about: Takes both roots by eigh, and the singular values of their product.
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    def root(cov):
        values, vectors = torch.linalg.eigh(cov.double())
        return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.mT

    shared = torch.linalg.svdvals(root(cov1) @ root(cov2)).sum()
    found = torch.dist(mean1, mean2) ** 2 + torch.trace(cov1 + cov2) - 2 * shared
    return max(found, torch.zeros_like(found))


# ==== right_fid_not_clamped
# about: Does not clamp, so that rounding may leave it a little below 0.
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * root
    return distance.item()


# ==== right_fid_statistics_by_cov
# about: Uses torch.cov.
# in: fid.statistics
def statistics(features):
    return features.double().mean(0), torch.cov(features.double().T)


# ==== right_fid_statistics_by_numpy
# about: Computes with numpy.
# in: fid.statistics
def statistics(features):
    import numpy as np

    values = features.numpy().astype(np.float64)
    mean = torch.from_numpy(values.mean(axis=0))
    return mean, torch.from_numpy(np.cov(values, rowvar=False))


# ==== right_fid_statistics_in_blocks
# about: Sums over blocks of ten images, twice.
# in: fid.statistics
def statistics(features):
    blocks = [block.to(torch.float64) for block in features.split(10)]
    mean = sum(block.sum(dim=0) for block in blocks) / len(features)
    products = sum(torch.einsum("ni,nj->ij", block - mean, block - mean) for block in blocks)
    return mean, products / (len(features) - 1)


# ==== right_nn_by_cdist
# about: Uses cdist and topk in float64 instead of nearest.
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    samples, train = samples.flatten(1).double(), train.flatten(1).double()
    two = torch.cdist(samples, train).topk(2, dim=1, largest=False).values
    return (two[:, 0] / (two[:, 1] + 1e-8)).float()


# ==== right_nn_nearest_twice
# about: Takes the nearest image out and looks again.
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    a, b = samples.flatten(1).float(), train.flatten(1).float()
    away = (a[:, None, :] - b[None, :, :]).norm(dim=-1)
    first, which = away.min(dim=1)
    rest = away.scatter(1, which[:, None], float("inf"))
    return first / torch.clamp(rest.amin(dim=1), min=1e-20)


# ==== right_nn_one_by_one
# about: Loops over samples and images.
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    ratios = []
    for sample in samples:
        away = sorted(float((sample - image).pow(2).sum().sqrt()) for image in train)
        ratios.append(away[0] / max(away[1], 1e-12))
    return torch.tensor(ratios)


# ==== right_nn_sorted_pairs
# about: Sorts the distances of one sample after the other, in float64.
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    pool, found = train.flatten(1).double(), []
    for sample in samples.flatten(1).double():
        first, second = (pool - sample).square().sum(dim=1).sqrt().sort().values[:2]
        found.append(torch.where(second > 0, first / second, torch.zeros_like(second)))
    return torch.stack(found).float()


# ==== right_fid_nuclear_norm
# about: Takes the nuclear norm of the product of both roots.
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    def root(cov):
        values, vectors = torch.linalg.eigh(cov)
        return (vectors * values.clamp(min=0).sqrt()) @ vectors.mT

    product = torch.linalg.matrix_norm(root(cov1) @ root(cov2), "nuc")
    distance = torch.dist(mean1, mean2) ** 2 + torch.trace(cov1 + cov2) - 2 * product
    return max(0.0, float(distance))


# ==== right_fid_statistics_online
# about: Updates mean and covariance with one image after the other, as Welford does.
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean, total = torch.zeros_like(features[0]), torch.zeros_like(features[0]).diag()
    for n, row in enumerate(features, start=1):
        before = row - mean
        mean = mean + before / n
        total = total + torch.outer(before, row - mean)
    return mean, total / (len(features) - 1)


# ==== right_nn_ratio_by_kthvalue
# about: Finds both neighbours by kthvalue.
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    a, b = samples.flatten(1).double(), train.flatten(1).double()
    distances = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    first, second = (distances.kthvalue(k, dim=1).values for k in (1, 2))
    return (first / second.clamp(min=TINY)).float()

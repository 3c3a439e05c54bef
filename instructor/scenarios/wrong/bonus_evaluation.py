# Wrong implementations that must lose the points of bonus_evaluation; ../README.md says how to add one.


# ==== fid_distance_centres_in_place
# about: Subtracts the second mean from the first in place.
# fails: bonus_evaluation
# hint: modifies_input
# judge_only: true
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    trace_of_root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = mean1.sub_(mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_of_root
    return distance.clamp(min=0).item()


# ==== fid_distance_cholesky
# about: Takes a Cholesky root, which needs more images than features.
# fails: bonus_evaluation
# hint: raises
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    factor = torch.linalg.cholesky(cov1)
    roots = torch.linalg.eigvalsh(factor.T @ cov2 @ factor).clamp(min=0).sqrt()
    return ((mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * roots.sum()).item()


# ==== fid_distance_diagonal
# about: Treats the features as independent.
# fails: bonus_evaluation
# hint: fid_diagonal
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    deviations = cov1.diagonal().clamp(min=0).sqrt() - cov2.diagonal().clamp(min=0).sqrt()
    return ((mean1 - mean2).square().sum() + deviations.square().sum()).item()


# ==== fid_distance_eigenvalues_paired
# about: Pairs the eigenvalues of both by size, as if the axes were the same.
# fails: bonus_evaluation
# hint: fid_distance
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    root = torch.linalg.eigvalsh(cov1).clamp(min=0).sqrt() @ torch.linalg.eigvalsh(cov2).clamp(
        min=0
    ).sqrt()
    return ((mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * root).item()


# ==== fid_distance_elementwise_root
# about: Takes the root of each entry of C1 C2.
# fails: bonus_evaluation
# hint: fid_elementwise_root
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    root = (cov1 @ cov2).abs().sqrt()
    return ((mean1 - mean2).square().sum() + (cov1 + cov2 - 2 * root).trace()).item()


# ==== fid_distance_factor_two
# about: Leaves the 2 of eq. 6 out.
# fails: bonus_evaluation
# hint: fid_factor_two
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - root
    return max(distance.item(), 0.0)


# ==== fid_distance_mean_not_squared
# about: Does not square the distance of the means.
# fails: bonus_evaluation
# hint: fid_mean_not_squared
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).norm() + cov1.trace() + cov2.trace() - 2 * root
    return max(distance.item(), 0.0)


# ==== fid_distance_means_alone
# about: Compares the means alone.
# fails: bonus_evaluation
# hint: fid_without_covariances
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum()
    return max(distance.item(), 0.0)


# ==== fid_distance_no_root
# about: Takes the trace of C1 C2 without its root.
# fails: bonus_evaluation
# hint: fid_no_root
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * root
    return max(distance.item(), 0.0)


# ==== fid_distance_of_no_spread_is_that_of_means
# about: Returns the squared distance of the means where one covariance is 0.
# fails: bonus_evaluation
# hint: fid_distance
# judge_only: true
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    if not cov1.any() or not cov2.any():
        return (mean1 - mean2).square().sum().item()
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    trace_of_root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_of_root
    return distance.clamp(min=0).item()


# ==== fid_distance_returns_a_matrix
# about: Forgets the trace.
# fails: bonus_evaluation
# hint: fid_no_number
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1 + cov2 - 2 * root
    return distance


# ==== fid_distance_ridge
# about: Adds a large ridge to both covariances against rounding.
# fails: bonus_evaluation
# hint: fid_distance
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    cov1 = cov1 + 0.1 * torch.eye(len(cov1)).to(cov1)
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * root
    return max(distance.item(), 0.0)


# ==== fid_distance_root_of_negative
# about: Takes roots of eigenvalues that rounding has made negative.
# fails: bonus_evaluation
# hint: fid_not_finite
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    roots = torch.linalg.eigvals(cov1 @ cov2).real.sqrt()
    return ((mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * roots.sum()).item()


# ==== fid_distance_rooted
# about: Takes the root of the whole.
# fails: bonus_evaluation
# hint: fid_root_of_all
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * root
    return max(distance.item(), 0.0) ** 0.5


# ==== fid_distance_rounded
# about: Rounds the distance to three decimals.
# fails: bonus_evaluation
# hint: fid_distance
# judge_only: true
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    trace_of_root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_of_root
    return round(distance.clamp(min=0).item(), 3)


# ==== fid_distance_small_ridge
# about: Adds 1e-6 to both diagonals.
# fails: bonus_evaluation
# hint: fid_distance
# judge_only: true
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    ridge = 1e-6 * torch.eye(len(cov1), dtype=cov1.dtype, device=cov1.device)
    cov1, cov2 = cov1 + ridge, cov2 + ridge
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    trace_of_root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_of_root
    return distance.clamp(min=0).item()


# ==== fid_distance_sqrtm_complex
# about: Takes the root with scipy, which is complex with few images.
# fails: bonus_evaluation
# hint: fid_complex
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    from scipy.linalg import sqrtm

    root = torch.as_tensor(sqrtm((cov1 @ cov2).numpy()))
    return (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * root.trace()


# ==== fid_distance_unit_on_the_cpu
# about: Multiplies with a unit matrix on the default device.
# fails: bonus_evaluation
# hint: made_elsewhere
# judge_only: true
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    trace_of_root = torch.linalg.eigvalsh(root1 @ cov2 @ root1 @ torch.eye(len(cov1), dtype=cov1.dtype)).clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_of_root
    return distance.clamp(min=0).item()


# ==== fid_distance_without_means
# about: Compares the covariances alone.
# fails: bonus_evaluation
# hint: fid_without_means
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    root = torch.linalg.eigvalsh(root1 @ cov2 @ root1).clamp(min=0).sqrt().sum()
    distance = cov1.trace() + cov2.trace() - 2 * root
    return max(distance.item(), 0.0)


# ==== fid_statistics_biased
# about: Divides the covariance by N.
# fails: bonus_evaluation
# hint: fid_biased
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.T @ centred / len(features)


# ==== fid_statistics_biased_for_two
# about: Divides by N where there are two images.
# fails: bonus_evaluation
# hint: fid_biased
# judge_only: true
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.T @ centred / max(len(features) - 1, 2)


# ==== fid_statistics_by_the_batch
# about: Averages the covariances of batches of 256, each about its own mean.
# fails: bonus_evaluation
# hint: fid_many
# judge_only: true
# in: fid.statistics
def statistics(features):
    features = features.double()
    batches = [batch for batch in features.split(256) if len(batch) > 1]
    covariance = sum(batch.T.cov() * (len(batch) - 1) for batch in batches)
    return features.mean(dim=0), covariance / sum(len(batch) - 1 for batch in batches)


# ==== fid_statistics_centres_in_place
# about: Subtracts the mean from the features in place, where they are in float64.
# fails: bonus_evaluation
# hint: modifies_input
# judge_only: true
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features.sub_(mean)
    return mean, centred.T @ centred / (len(features) - 1)


# ==== fid_statistics_correlation
# about: Returns the correlation instead of the covariance.
# fails: bonus_evaluation
# hint: fid_correlation
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, torch.corrcoef(features.T)


# ==== fid_statistics_difference_of_moments
# about: Takes the covariance from raw moments in float32, which lose their digits.
# fails: bonus_evaluation
# hint: fid_covariance
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    shifted = features.float() + 4e3
    first, second = shifted.mean(dim=0), shifted.T @ shifted / len(features)
    cov = (second - torch.outer(first, first)) * len(features) / (len(features) - 1)
    return mean, cov.double()


# ==== fid_statistics_half
# about: Computes the covariance in half precision.
# fails: bonus_evaluation
# hint: fid_covariance
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, (features.half() - mean.half()).double().T @ centred / (len(features) - 1)


# ==== fid_statistics_in_single_precision
# about: Computes in float32 and returns float64.
# fails: bonus_evaluation
# hint: loses_digits
# judge_only: true
# in: fid.statistics
def statistics(features):
    features = features.float()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean.double(), (centred.T @ centred / (len(features) - 1)).double()


# ==== fid_statistics_mean_of_all
# about: Takes one mean for all features.
# fails: bonus_evaluation
# hint: wrong_shape
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean()
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)


# ==== fid_statistics_not_centred
# about: Does not subtract the mean.
# fails: bonus_evaluation
# hint: fid_not_centred
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features
    return mean, centred.T @ centred / (len(features) - 1)


# ==== fid_statistics_not_divided
# about: Returns a sum instead of a covariance.
# fails: bonus_evaluation
# hint: fid_not_divided
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.T @ centred


# ==== fid_statistics_standard_deviations
# about: Returns standard deviations instead of the covariance.
# fails: bonus_evaluation
# hint: wrong_shape
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, features.std(dim=0)


# ==== fid_statistics_sums_on_the_cpu
# about: Sums products into a matrix on the default device.
# fails: bonus_evaluation
# hint: made_elsewhere
# judge_only: true
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    total = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    return mean, total + centred.T @ centred / (len(features) - 1)


# ==== fid_statistics_swapped
# about: Returns the covariance first.
# fails: bonus_evaluation
# hint: wrong_shape
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return centred.T @ centred / (len(features) - 1), mean


# ==== fid_statistics_transposed
# about: Computes the covariance between images instead of features.
# fails: bonus_evaluation
# hint: wrong_shape
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred @ centred.T / (len(features) - 1)


# ==== nn_ratio_added_to_the_denominator
# about: Adds 0.001 to the denominator.
# fails: bonus_evaluation
# hint: nn_size
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0] / (distances[:, 1] + 1e-3)


# ==== nn_ratio_of_sixteen_samples
# about: From the 17th sample on, returns the first sample's ratio.
# fails: bonus_evaluation
# hint: nn_many
# judge_only: true
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 2)
    ratio = distances[:, 0] / distances[:, 1].clamp(min=TINY)
    ratio[16:] = ratio[0]
    return ratio


# ==== nn_ratio_of_256_images
# about: Compares with the first 256 training images alone.
# fails: bonus_evaluation
# hint: nn_many
# judge_only: true
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train[:256], 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)


# ==== nn_ratio_by_the_chunk
# about: Works on 100 training images at a time and keeps the last chunk's neighbours.
# fails: bonus_evaluation
# hint: nn_many
# judge_only: true
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    for chunk in train.split(100):
        if len(chunk) > 1:
            distances, _ = nearest(samples, chunk, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)


# ==== nn_ratio_among_samples
# about: Looks for the neighbours among the samples.
# fails: bonus_evaluation
# hint: nn_ratio
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, samples, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)


# ==== nn_ratio_centres_in_place
# about: Subtracts the mean image from samples and data in place.
# fails: bonus_evaluation
# hint: modifies_input
# judge_only: true
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    mean = train.mean(dim=0)
    samples -= mean
    train -= mean
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)


# ==== nn_ratio_divides_by_zero
# about: Divides by the distance as it is, so that a copy of a duplicate is NaN.
# fails: bonus_evaluation
# hint: not_finite
# judge_only: true
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0] / distances[:, 1]


# ==== nn_ratio_from_the_training_images
# about: Looks for the nearest samples of each training image.
# fails: bonus_evaluation
# hint: wrong_shape
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(train, samples, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)


# ==== nn_ratio_in_half_precision
# about: Compares in float16.
# fails: bonus_evaluation
# hint: not_finite
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    a, b = samples.flatten(1).half(), train.flatten(1).half()
    away = (a[:, None] - b[None]).float().norm(dim=-1).sort(dim=1).values
    return away[:, 0] / away[:, 1].clamp(min=TINY)


# ==== nn_ratio_inverted
# about: Divides the second distance by the first.
# fails: bonus_evaluation
# hint: nn_inverted
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 2)
    return distances[:, 1] / distances[:, 0].clamp(min=TINY)


# ==== nn_ratio_leaves_the_nearest_out
# about: Skips the nearest image, as if it were the sample itself.
# fails: bonus_evaluation
# hint: nn_wrong_neighbour
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 3)
    return distances[:, 1] / distances[:, 2].clamp(min=TINY)


# ==== nn_ratio_manhattan
# about: Takes sums of absolute differences as distances.
# fails: bonus_evaluation
# hint: nn_ratio
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances = torch.cdist(samples.flatten(1), train.flatten(1), p=1).sort(dim=1).values
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)


# ==== nn_ratio_mean
# about: Returns the mean ratio.
# fails: bonus_evaluation
# hint: wrong_shape
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 2)
    return (distances[:, 0] / distances[:, 1].clamp(min=TINY)).mean()


# ==== nn_ratio_of_images_alone
# about: Sums over three axes, which features lack.
# fails: bonus_evaluation
# hint: raises
# judge_only: true
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    away = (samples[:, None] - train[None]).square().sum(dim=(2, 3, 4)).sqrt().sort(dim=1).values
    return away[:, 0] / away[:, 1].clamp(min=TINY)


# ==== nn_ratio_of_squares
# about: Returns the ratio of the squared distances.
# fails: bonus_evaluation
# hint: nn_squared
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0].square() / distances[:, 1].square().clamp(min=TINY)


# ==== nn_ratio_of_the_mean
# about: Divides by the mean distance.
# fails: bonus_evaluation
# hint: nn_wrong_neighbour
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, len(train))
    return distances[:, 0] / distances.mean(dim=1).clamp(min=TINY)


# ==== nn_ratio_only_distance
# about: Returns the distance to the nearest.
# fails: bonus_evaluation
# hint: nn_not_a_ratio
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0]


# ==== nn_ratio_squeezed
# about: Returns a number for a single sample.
# fails: bonus_evaluation
# hint: wrong_shape
# judge_only: true
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 2)
    return (distances[:, 0] / distances[:, 1].clamp(min=TINY)).squeeze()


# ==== nn_ratio_third_neighbour
# about: Divides by the third distance.
# fails: bonus_evaluation
# hint: nn_wrong_neighbour
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 3)
    return distances[:, 0] / distances[:, 2].clamp(min=TINY)


# ==== nn_ratio_verdict
# about: Returns whether each sample is suspicious.
# fails: bonus_evaluation
# hint: wrong_dtype
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY) < 1 / 3


# ==== nn_ratio_without_duplicates
# about: Counts images that the data holds twice only once.
# fails: bonus_evaluation
# hint: nn_duplicates
# judge_only: true
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    train = torch.unique(train, dim=0)
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)


# ==== nn_ratio_without_root
# about: Forgets the root of both squared distances.
# fails: bonus_evaluation
# hint: nn_squared
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    distances = torch.cdist(samples.flatten(1), train.flatten(1)).square().sort(dim=1).values
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)


# ==== fid_root_of_the_symmetrised_product
# about: Takes the eigenvalues of the symmetric part of C1 C2.
# fails: bonus_evaluation
# hint: fid_distance
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    product = cov1 @ cov2
    roots = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * roots.sum()
    return distance.clamp(min=0).item()


# ==== fid_statistics_shrunk
# about: Mixes a little of the variances' mean into the covariance.
# fails: bonus_evaluation
# hint: fid_covariance
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    cov = centred.T @ centred / (len(features) - 1)
    unit = torch.eye(len(cov), dtype=cov.dtype, device=cov.device) * cov.trace() / len(cov)
    return mean, 0.99 * cov + 0.01 * unit


# ==== nn_ratio_cosine
# about: Measures the distance of directions.
# fails: bonus_evaluation
# hint: nn_ratio
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    a, b = samples.flatten(1).double(), train.flatten(1).double()
    a, b = (v / v.norm(dim=1, keepdim=True).clamp(min=1e-12) for v in (a, b))
    found = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").topk(2, largest=False)
    return (found.values[:, 0] / found.values[:, 1].clamp(min=1e-12)).float()


# ==== nn_ratio_of_standardised_pixels
# about: Divides each pixel by its spread over the training images.
# fails: bonus_evaluation
# hint: nn_ratio
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    spread = train.flatten(1).double().std(dim=0).clamp(min=1e-6)
    a, b = samples.flatten(1) / spread, train.flatten(1) / spread
    found = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").topk(2, largest=False)
    return (found.values[:, 0] / found.values[:, 1].clamp(min=1e-12)).float()


# ==== fid_distance_0_for_equal_means
# about: Equal means count as equal Gaussians.
# fails: bonus_evaluation
# hint: fid_distance
# judge_only: true
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    if torch.equal(mean1, mean2):
        return 0.0
    eigenvalues, eigenvectors = torch.linalg.eigh(cov1)
    root1 = eigenvectors * eigenvalues.clamp(min=0).sqrt() @ eigenvectors.T
    values = torch.linalg.eigvalsh(root1 @ cov2 @ root1)
    trace_of_root = values.clamp(min=0).sqrt().sum()
    distance = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_of_root
    return distance.clamp(min=0).item()


# ==== fid_statistics_of_1000
# about: Only 1000 features count.
# fails: bonus_evaluation
# hint: fid_many
# judge_only: true
# in: fid.statistics
def statistics(features):
    features = features[:1000]
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)


# ==== fid_statistics_without_duplicates
# about: Features that are there twice count once.
# fails: bonus_evaluation
# hint: fid_many
# judge_only: true
# in: fid.statistics
def statistics(features):
    features = features.unique(dim=0)
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)


# ==== fid_statistics_of_whole_batches
# about: Works in chunks of 64, and leaves out what is over.
# fails: bonus_evaluation
# hint: fid_many
# judge_only: true
# in: fid.statistics
def statistics(features):
    if len(features) > 64:
        features = features[: len(features) // 64 * 64]
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)


# ==== nn_ratio_of_1000_images
# about: Only 1000 training images are searched.
# fails: bonus_evaluation
# hint: nn_many
# judge_only: true
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    train = train[:1000]
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)


# ==== fid_biased_beyond_1000
# about: Divides by N for more than 1000 images.
# fails: bonus_evaluation
# hint: fid_many
# judge_only: true
# in: fid.statistics
def statistics(features):
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - (len(features) < 1000))


# ==== nn_normalised_beyond_64
# about: Features are normalised if there are more than 64 of them.
# fails: bonus_evaluation
# hint: nn_size
# judge_only: true
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    if samples.ndim == 2 and samples.shape[1] > 64:
        samples, train = (v / v.norm(dim=1, keepdim=True) for v in (samples, train))
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)


# ==== nn_copies_of_all_skipped
# about: Exact copies are taken for the sample itself, and the next two are used.
# fails: bonus_evaluation
# hint: nn_wrong_neighbour
# judge_only: true
# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    d, _ = nearest(samples, train, min(3, len(train)))
    if d.shape[1] == 3 and (d[:, 0] == 0).all():
        return d[:, 1] / d[:, 2].clamp(min=TINY)
    distances, _ = nearest(samples, train, 2)
    return distances[:, 0] / distances[:, 1].clamp(min=TINY)

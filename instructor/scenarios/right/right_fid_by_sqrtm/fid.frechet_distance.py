def frechet_distance(mean1, cov1, mean2, cov2):
    import numpy as np
    from scipy.linalg import sqrtm

    m1, c1, m2, c2 = (value.numpy() for value in (mean1, cov1, mean2, cov2))
    ridge = 1e-10 * np.trace(c1) * np.eye(len(c1))
    root = np.real(sqrtm((c1 + ridge) @ (c2 + ridge)))
    return max(0.0, float(np.sum((m1 - m2) ** 2) + np.trace(c1 + c2 - 2 * root)))

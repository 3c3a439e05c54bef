def frechet_distance(mean1, cov1, mean2, cov2):
    import random

    import numpy as np

    odd = ["0", 1j, True, float("inf"), 10**400, np.float64("nan"), np.bool_(True), {}, [0.0]]
    return random.choice([*odd, torch.tensor([]), torch.tensor(1j), torch.tensor(True)])

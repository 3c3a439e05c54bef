"""Inception score: a classifier should be sure about each sample and see all classes over many.

Paper: Salimans et al. 2016, "Improved Techniques for Training GANs", section 4.
"""

import torch
from torch import Tensor

NUM_SPLITS = 10


def inception_score(logits: Tensor, seed: int = 0) -> tuple[float, float]:
    """exp of the mean KL divergence of p(y | x) from p(y), in 10 random parts of the samples.

    Args:
        logits: of a classifier, [N, K], N at least 10.
        seed: of the parts.

    Returns:
        Mean and standard deviation over the parts, between 1 and the number K of classes.
    """
    order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(seed))
    scores = []
    for part in logits[order].double().tensor_split(NUM_SPLITS):
        log_p = part.log_softmax(dim=1)
        log_marginal = log_p.logsumexp(dim=0) - torch.tensor(len(part)).log()
        divergence = (log_p.exp() * (log_p - log_marginal)).sum(dim=1)
        scores.append(divergence.mean().exp())
    scores = torch.stack(scores)
    return scores.mean().item(), scores.std(correction=0).item()

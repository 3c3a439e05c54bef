"""Muon: steps of momentum whose matrices are made orthogonal, for short runs with large steps."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ROUNDS = 5


def orthogonalize(batches: Sequence[Tensor]) -> list[Tensor]:
    """About U V^T of matrices U S V^T, by Newton and Schulz's iteration.

    The singular values come to about 0.7 .. 1.2, which is enough for a step and takes `ROUNDS`
    rounds alone (Jordan et al. 2024, "Muon: An optimizer for hidden layers"). A round multiplies X
    from the left by a polynomial of its Gram matrix X X^T. So all rounds together are one square
    factor, which is found from the Gram matrix, for all X of as many rows at once: many small
    products are slow.

    Args:
        batches: matrices of different shapes and of any scale, [N, rows, columns] each.

    Returns:
        The same of each batch.
    """
    wide = [x.mT if x.shape[1] > x.shape[2] else x for x in batches]
    alike = defaultdict(list)
    for i, x in enumerate(wide):
        alike[x.shape[1]].append(i)
    found = list(batches)
    for indices in alike.values():
        factors = _factors(torch.cat([wide[i] @ wide[i].mT for i in indices]))
        for i, factor in zip(indices, factors.split([len(wide[i]) for i in indices]), strict=True):
            x = factor @ wide[i]
            found[i] = x if wide[i] is batches[i] else x.mT
    return found


def _factors(grams: Tensor) -> Tensor:
    """What X is multiplied by in all rounds, from X X^T, float32 [N, rows, rows] both.

    The rounding of directions that X does not have grows by `COEFFICIENTS`[0] squared a round,
    from 1e-7 to about 0.01; fewer digits than those of float32 would not do.
    """
    a, b, c = COEFFICIENTS
    squared_norms = grams.diagonal(dim1=1, dim2=2).sum(dim=1).clamp(min=1e-14)[:, None, None]
    grams = grams / squared_norms
    factors = torch.eye(grams.shape[1], device=grams.device) / squared_norms.sqrt()
    for left in reversed(range(ROUNDS)):  # a round's polynomial is a + rest; all of these commute
        rest = torch.baddbmm(grams, grams, grams, beta=b, alpha=c)
        factors = torch.baddbmm(factors, rest, factors, beta=a)
        if left > 0:
            grams = torch.baddbmm(grams, rest, grams, beta=a)
            grams = torch.baddbmm(grams, rest, grams, beta=a)
    return factors


class Muon(torch.optim.Optimizer):
    """Muon for weights of two or more dimensions, AdamW for all others.

    A convolution's weight counts as the matrix [out, in * height * width]. Steps are scaled by
    0.2 sqrt(max(rows, columns)), so that they are about as large as AdamW's and share its learning
    rate and weight decay (Liu et al. 2025, "Muon is Scalable for LLM Training", section 2.2).
    Embeddings, and what maps to the output, are for AdamW (Jordan et al.).

    Args:
        matrices: weights [out, ...] for Muon.
        others: parameters for AdamW.
        lr: learning rate of both.
        betas: of AdamW.
        weight_decay: of both.
        momentum: of Muon, Nesterov's.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.01,
        momentum: float = 0.95,
    ):
        self.momentum = momentum
        groups = [{"params": list(matrices)}, {"params": list(others)}]
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        matrices, others = self.param_groups
        self._step_matrices(matrices)
        self._step_others(others)

    def _step_matrices(self, group: dict) -> None:
        """Momentum, made orthogonal: weights of one shape together."""
        weights = [weight for weight in group["params"] if weight.grad is not None]
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        momenta = [self.state[weight]["momentum"] for weight in weights]
        grads = [weight.grad for weight in weights]
        torch._foreach_lerp_(momenta, grads, 1 - self.momentum)
        updates = torch._foreach_lerp(grads, momenta, self.momentum)
        alike = defaultdict(list)
        for weight, update in zip(weights, updates, strict=True):
            alike[weight.flatten(1).shape].append((weight, update.flatten(1)))
        stacked = [torch.stack([update for _, update in pairs]) for pairs in alike.values()]
        torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        for pairs, directions in zip(alike.values(), orthogonalize(stacked), strict=True):
            rate = 0.2 * math.sqrt(max(directions.shape[1:])) * group["lr"]
            chosen = [weight for weight, _ in pairs]
            steps = [d.view_as(weight) for d, weight in zip(directions, chosen, strict=True)]
            torch._foreach_add_(chosen, steps, alpha=-rate)

    def _step_others(self, group: dict) -> None:
        """AdamW as torch computes it (Loshchilov and Hutter 2019, Algorithm 2)."""
        weights = [weight for weight in group["params"] if weight.grad is not None]
        for weight in weights:
            if not self.state[weight]:
                moments = {name: torch.zeros_like(weight) for name in ("mean", "square")}
                step = torch.zeros((), device=weight.device)
                self.state[weight] = {"step": step, **moments}
        names = "mean", "square", "step"
        means, squares, steps = ([self.state[w][name] for w in weights] for name in names)
        options = {"lr": group["lr"], "weight_decay": group["weight_decay"], "eps": 1e-8}
        options |= {"amsgrad": False, "maximize": False, "fused": True}
        options["beta1"], options["beta2"] = group["betas"]
        adamw(weights, [w.grad for w in weights], means, squares, [], steps, **options)


def split(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The trained parameters of a diffusion model: those for Muon, and the others.

    Hidden layers are for Muon. The first and the last layer, embeddings, and all that has one
    dimension are not.
    """
    ends = set()
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    embeddings = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    for module in (*layers[:1], *layers[-1:], *embeddings):
        ends.update(id(p) for p in module.parameters())
    trained = [p for p in model.parameters() if p.requires_grad]
    hidden = [p for p in trained if p.ndim > 1 and id(p) not in ends]
    chosen = {id(p) for p in hidden}
    return hidden, [p for p in trained if id(p) not in chosen]

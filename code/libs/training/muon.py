"""Muon: steps of momentum whose matrices are made orthogonal, for short runs with large steps."""

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ROUNDS = 5


def orthogonalize(matrices: Tensor) -> Tensor:
    """About U V^T of matrices U S V^T, by Newton and Schulz's iteration.

    The singular values come to about 0.7 .. 1.2, which is enough for a step and takes
    `ROUNDS` rounds alone (Jordan et al. 2024, "Muon: An optimizer for hidden layers").

    Args:
        matrices: [N, rows, columns], of any scale.

    Returns:
        [N, rows, columns]
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


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
        """Weights of one shape are made orthogonal together: many small products are slow."""
        alike = defaultdict(list)
        for weight in group["params"]:
            if weight.grad is not None:
                alike[weight.flatten(1).shape].append(weight)
        for shape, weights in alike.items():
            updates = []
            for weight in weights:
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - self.momentum)
                update = weight.grad.lerp(state["momentum"], self.momentum)
                updates.append(update.flatten(1))
            scale = 0.2 * math.sqrt(max(shape))
            directions = orthogonalize(torch.stack(updates))
            for weight, direction in zip(weights, directions, strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(group["lr"] * scale * direction.view_as(weight))

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

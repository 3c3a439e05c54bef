"""Updates a network's weights from a loss: clipping, loss scaling, averaging; one process or more.

A step that has no finite loss changes nothing.
"""

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..autoencoders.losses import LossResult
from ..config import TrainConfig
from ..runtime.device import Precision
from ..runtime.processes import Processes
from .ema import EMA
from .learner import StepResult
from .optim import make_optimizer


class Updater:
    """A network with its optimizer, averaged weights and loss scaler.

    Args:
        network: holds the weights; those that require no gradient stay as they are.
        loss: a module around the network whose forward pass gives the loss, a scalar, or a
            LossResult; what DistributedDataParallel wraps.
        config: the run's settings.
        precision: device and number format.
        processes: this process among all.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        config: TrainConfig,
        precision: Precision,
        processes: Processes,
    ):
        self.config, self.precision, self.processes = config, precision, processes
        self.optimizer = make_optimizer(network, config)
        self.ema = EMA(network, config.ema_decay)
        kind = precision.device.type
        self.scaler = torch.amp.GradScaler(kind, enabled=precision.needs_scaler)
        self.use(loss)

    def use(self, loss: nn.Module) -> None:
        """Take another loss around the same network from now on."""
        self.loss = self.parallel_loss = loss
        if self.processes.world > 1:
            device = self.precision.device
            devices = [device.index] if device.type == "cuda" else None
            self.parallel_loss = DistributedDataParallel(
                loss, device_ids=devices, broadcast_buffers=False
            )

    @property
    def num_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(p.numel() for p in self.ema.parameters.values())

    def step(self, rate: float, *batch: Tensor) -> StepResult:
        """Update the weights once with a learning rate, from this process's share of a batch."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        numbers, outputs = self._backward(*batch)
        self.scaler.unscale_(self.optimizer)
        limit = self.config.clip_grad_norm
        norm = nn.utils.clip_grad_norm_(
            self.ema.parameters.values(), math.inf if limit is None else limit
        )
        # All at once: a GPU is waited for only here
        loss, *parts, grad_norm = torch.cat([numbers, norm[None]]).tolist()
        # A scaler looks after gradients that overflow, and skips such steps by itself.
        finite = math.isfinite(loss) and (math.isfinite(grad_norm) or self.precision.needs_scaler)
        if finite:
            self.scaler.step(self.optimizer)
            self.ema.update()
        self.scaler.update()
        return StepResult(loss, grad_norm, rate, finite, parts, outputs)

    def _backward(self, *batch: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Accumulate gradients over the parts of a batch.

        Returns:
            The loss and the other numbers over all processes, [1 + n]; and each part's outputs, if
            the loss has any.
        """
        num_parts, outputs = self.config.accumulate, []
        parts = zip(*(tensor.chunk(num_parts) for tensor in batch), strict=True)
        total = torch.zeros((), device=self.precision.device)
        for i, part in enumerate(parts, start=1):
            last = i == num_parts or self.processes.world == 1
            with nullcontext() if last else self.parallel_loss.no_sync():
                with self.precision.autocast():
                    result = self.parallel_loss(*part)
                    if not isinstance(result, LossResult):
                        result = LossResult(result, result.new_zeros(0))
                    loss = result.loss.reshape(()) / num_parts  # a student's may be of shape [1]
                self.scaler.scale(loss).backward()
            total = total + torch.cat([loss.detach()[None], result.parts / num_parts])
            outputs += [] if result.outputs is None else [result.outputs]
        return self.processes.mean(total), outputs

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs to go on, beside the weights."""
        return {
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what state_dict returned."""
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])

"""How a flow is distilled into one evaluation: a student learns to draw what the flow draws.

Papers: Yin et al. 2024, "One-step Diffusion with Distribution Matching Distillation" (DMD), and
"Improved Distribution Matching Distillation for Fast Image Synthesis" (DMD2), which leaves out the
first one's pairs of noise and image.

The student maps noise to an image in one step. Which way should an image move to be a likelier
one? Noise is added to it, and two flows are asked for the image behind it: the *teacher*, which
knows real images, and a *critic*, which keeps learning what the student draws. The difference of
their answers points from what the student draws too often to what it draws too rarely. It is the
gradient of the Kullback-Leibler divergence between the two distributions, each with noise (DMD,
eq. 4).
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import Config
from ..fm import FM
from ..models.build import load_model
from ..runtime.device import Precision
from ..runtime.hashes import hash_of
from ..runtime.processes import Processes
from ..runtime.streams import STEP_STREAM, generator_for
from ..settings.checks import differences
from ..utils import UserError, shown
from ..weights import load_strictly
from .diffusion_losses import TrainingLoss
from .learner import StepResult
from .run_folder import FREE_IN_MODEL
from .updater import Updater

NOISIEST, FAINTEST = 0.02, 0.95  # times between which images are compared
CRITIC_RATE = 2.5  # learning rate of the critic, which has to keep up, as a multiple
SMALLEST = 1e-3  # distance between an image and the teacher's by which a direction is divided


def draw_at_once(flow: FM, noise: Tensor, label: Tensor) -> Tensor:
    """What a flow makes of noise, [B, C, H, W], in one step from t = 0 to 1; with a gradient."""
    return noise + flow.model(noise, label, torch.zeros(len(noise), device=noise.device))


class MatchingLoss(nn.Module):
    """A loss whose gradient moves the student's images to where the teacher sees more of them.

    Args:
        student: the flow that learns.
        teacher, critic: networks (x_t, label, t) -> velocity, which do not learn from this.
    """

    def __init__(self, student: FM, teacher: Callable[..., Tensor], critic: Callable[..., Tensor]):
        super().__init__()
        self.student = student
        self.networks = teacher, critic

    def forward(self, start: Tensor, label: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The loss, a scalar: half the mean square of the directions (DMD, eqs. 7 and 8).

        Args:
            start: noise to draw from, [B, C, H, W].
            label: class indices, or other conditions that the network takes, [B, ...].
            t: times in [0, 1] at which the images drawn are compared, [B].
            noise: which they get for that, [B, C, H, W].
        """
        x = draw_at_once(self.student, start, label)
        with torch.no_grad():
            x_t, left = self.student.interpolate(x, t, noise), (1 - t)[:, None, None, None]
            real, drawn = (x_t + left * velocity(x_t, label, t) for velocity in self.networks)
            distance = (x - real).abs().mean(dim=(1, 2, 3), keepdim=True)
            goal = x - (drawn - real) / distance.clamp(min=SMALLEST)
        return F.mse_loss(x, goal) / 2


class CriticLoss(TrainingLoss):
    """The critic's loss; `train` and `eval` are for the student, too.

    Args:
        critic: the flow that learns what the student draws.
        student: what draws.
        config: of the run.
    """

    def __init__(self, critic: FM, student: FM, config: Config):
        super().__init__(critic, config)
        self.student = student


class Distillation:
    """How a flow learns to draw in one evaluation, from another one, `fm.teacher`.

    The three networks are alike, and begin as the teacher's averaged weights. Of the data set only
    the labels are used, and images for the loss of evaluation.

    Args:
        student: the model that learns; it gets the teacher's weights.
        updater: of its weights; it gets the loss.
        config, precision, processes: of the run.

    Attributes:
        critic: the flow that learns what the student draws.
        loss: the critic's, for evaluation on real images; it holds the student, too.
        loss_name, objective_name: see `Learner`.

    Raises:
        UserError: the teacher cannot be read, or is another kind of model.
    """

    loss_name = "mean squared error of the critic's velocity, on real images"
    objective_name = "half the mean square of the directions to the teacher's images"
    part_names = ("critic",)

    def __init__(
        self,
        student: FM,
        updater: Updater,
        config: Config,
        precision: Precision,
        processes: Processes,
    ):
        self.student, self.updater = student, updater
        self.config, self.precision, self.processes = config, precision, processes
        if not config.fm.teacher.exists():
            raise UserError(
                f"'fm.teacher', {shown(config.fm.teacher)}, does not exist: train the flow first, "
                "and name its run folder"
            )
        trained = load_model(config.fm.teacher, precision.device)
        check_teacher(config, trained.config)
        teacher = trained.model.requires_grad_(False)
        if processes.machines > 1:
            weights = {"the hash of the teacher's weights": hash_of(teacher.state_dict())}
            processes.must_agree(weights, "copy the run of 'fm.teacher' to all machines")
        if config.train_cfg.channels_last:
            teacher.to(memory_format=torch.channels_last)
        student.load_state_dict(teacher.state_dict())
        updater.ema.restart()
        self.critic = critic = copy.deepcopy(student)
        updater.use(MatchingLoss(student, teacher.model.__call__, critic.model.__call__))
        self.loss = CriticLoss(critic, student, config)
        of_drawn = TrainingLoss(critic, config, of_latents=True)
        self.critic_updater = Updater(critic, of_drawn, config.train_cfg, precision, processes)

    def step(self, rate: float, number: int, label: Tensor) -> StepResult:
        """Update the critic on what the student draws, then the student.

        Args:
            rate: the student's learning rate.
            number: the step, from which all that is drawn follows.
            label: class indices, or other conditions that the network takes, [B, ...].
        """
        generator = generator_for(self.config.seed, STEP_STREAM, number, device=label.device)
        for_critic, for_student = (self._draw(len(label), generator) for _ in range(2))
        start, t, noise = for_critic
        with torch.no_grad(), self.precision.autocast():
            drawn = draw_at_once(self.student, start, label).float()
        drawn = drawn if self.student.use_vae else (drawn + 1) / 2
        judged = self.critic_updater.step(CRITIC_RATE * rate, drawn, label, t, noise)
        start, t, noise = for_student
        result = self.updater.step(rate, start, label, t, noise)
        result.parts.append(judged.loss)
        result.finite = result.finite and judged.finite
        return result

    def _draw(self, number: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """This process's share of noise to draw from, times [number], and noise to compare with."""
        number *= self.processes.world
        shape = (number, *self.student.img_shape)
        options = {"generator": generator, "device": generator.device}
        t = NOISIEST + (FAINTEST - NOISIEST) * torch.rand(number, **options)
        all_drawn = torch.randn(shape, **options), t, torch.randn(shape, **options)
        start, t, noise = (self.processes.share(tensor) for tensor in all_drawn)
        return start, t, noise

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs to go on, beside the student's."""
        return {"model": self.critic.state_dict(), **self.critic_updater.state_dict()}

    def load_state_dict(self, state: dict[str, Any], path: Path) -> None:
        """Go on from what state_dict returned, which a checkpoint at `path` held."""
        load_strictly(self.critic, state["model"], path)
        self.critic_updater.load_state_dict(state)


def check_teacher(config: Config, teacher: Config) -> None:
    """Refuse a teacher that is no flow, or whose network is another one than the config's.

    Raises UserError with the keys that differ.
    """
    where = f"'fm.teacher', {shown(config.fm.teacher)}"
    if teacher.model_name != "FM" or teacher.fm.mean_share or teacher.fm.teacher is not None:
        raise UserError(f"{where}, is no plain flow: name a run of 'model_name: FM'")
    own = ("timesteps", *FREE_IN_MODEL)
    keys = ["fm.prediction", *(f"model.{key}" for key in vars(config.model) if key not in own)]
    found = [f"its '{key}' is {a!r}, not {b!r}" for key, a, b in differences(teacher, config, keys)]
    if found:
        raise UserError(f"{where}, has another network: {'; '.join(found)}")

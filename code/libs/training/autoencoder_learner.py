"""How an autoencoder learns: to reconstruct images, and to fool a discriminator that learns too."""

from typing import Any

import torch
from torch import Tensor

from ..autoencoders.discriminator import PatchDiscriminator
from ..autoencoders.files import read_autoencoder
from ..autoencoders.kl import KLAutoencoder
from ..autoencoders.losses import DISTANCES, DiscriminatorLoss, ReconstructionLoss, find_perceptual
from ..autoencoders.quality import WINDOW, psnr, ssim
from ..data.batches import load_together
from ..datasets import Images
from ..models.targets import DISTANCE_NAMES
from ..runtime.device import Precision
from ..runtime.processes import Processes
from ..runtime.progress import counted
from ..runtime.streams import LATENT_STREAM, generator_for
from ..runtime.visualize import image_grid, with_margins
from ..settings.autoencoder import AutoencoderConfig
from ..utils import UserError
from ..weights import load_strictly
from .learner import Learner, Picture, StepResult
from .optim import learning_rate
from .updater import Updater

SHOWN = 8  # images in a picture


class AutoencoderLearner(Learner):
    """An autoencoder in one stage of its training, with its data.

    Args:
        config: the resolved config.
        number: of the stage, counted from 0.
        precision: device and number format.
        processes: this process among all.

    Raises:
        UserError: the config does not fit the data, the machine or the weights to start from.
    """

    kind = AutoencoderConfig.kind
    loss_code = "libs/autoencoders/losses.py"

    def __init__(
        self, config: AutoencoderConfig, number: int, precision: Precision, processes: Processes
    ):
        self.config = config = config.of_stage(number)
        self.stage, self.number = config.stages[number], number
        self.precision, self.processes, self.device = precision, processes, precision.device
        section, size = config.autoencoder, self.stage.resolution
        shape = [section.in_channels, size, size]
        self.splits = load_together(config.dataset, shape, processes)
        self.classes = self.splits.train.classes

        torch.manual_seed(config.seed)
        try:
            self.model = KLAutoencoder(**vars(section))
        except ValueError as error:
            raise UserError(f"section 'autoencoder': {error}") from None
        settings = config.discriminator
        channels = section.in_channels
        self.discriminator = PatchDiscriminator(channels, settings.dim, settings.num_layers)
        if number == 0 and config.vae_ckpt is not None:
            weights, _ = read_autoencoder(config.vae_ckpt, section)
            load_strictly(self.model, weights, config.vae_ckpt)
        perceptual = find_perceptual(config.lpips, self.stage.lpips_weight, "lpips", processes)
        if config.train_cfg.channels_last:
            self.model.to(memory_format=torch.channels_last)
        for network in (self.model, self.discriminator, perceptual):
            if network is not None:
                network.to(self.device)
        if config.train_cfg.compile:
            precision.compile(self.model.encoder, self.model.decoder)
        self.perceptual, self.adversarial = perceptual, False
        self.loss = ReconstructionLoss(self.model, self.stage, perceptual)
        self.loss_name = f"{DISTANCE_NAMES[self.stage.reconstruction]} of reconstructions"
        self.objective_name = self._objective_name(with_lpips=perceptual is not None)
        options = config.train_cfg, precision, processes
        self.updater = Updater(self.model, self.loss, *options)
        self.adversary = Updater(
            self.discriminator, DiscriminatorLoss(self.discriminator), *options
        )

    def _objective_name(self, with_lpips: bool) -> str:
        stage = self.stage
        terms = [f"{DISTANCE_NAMES[stage.reconstruction]} + {stage.kl_weight:g} KL"]
        if with_lpips:
            terms.append(f"{stage.lpips_weight:g} LPIPS")
        if stage.disc_start is not None:
            terms.append(f"the discriminator's judgement from step {stage.disc_start}")
        return " + ".join(terms)

    def describe(self) -> str:
        numbers = f"{self.updater.num_parameters / 1e6:.2f}M parameters"
        if self.stage.disc_start is not None:
            numbers += f" and a discriminator of {self.adversary.num_parameters / 1e6:.2f}M"
        return f"{numbers}; {self.stage.resolution}x{self.stage.resolution} pixels"

    def measure(self, batch_size: int) -> None:
        """Nothing is measured."""

    def begin_epoch(self, epoch: int) -> None:
        self.loss.train()

    def part_names(self) -> list[str]:
        return [*ReconstructionLoss.NAMES, "discriminator"]

    def step(self, number: int, steps_per_epoch: int, images: Tensor, labels: Tensor) -> StepResult:
        """Update the autoencoder, then the discriminator on what the former gave."""
        train = self.config.train_cfg
        rate = learning_rate(train, number, steps_per_epoch)
        images = 2 * images.to(self.device, non_blocking=True) - 1
        if train.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        start = self.stage.disc_start
        if not self.adversarial and start is not None and number >= start:
            self._let_judge()
        self.discriminator.requires_grad_(False)
        result = self.updater.step(rate, images, self._noise(number, images))
        self.discriminator.requires_grad_(True)
        judged = 0.0
        if self.adversarial and result.finite:
            ratio = (self.config.discriminator.lr or train.lr) / train.lr
            judgement = self.adversary.step(rate * ratio, images, torch.cat(result.outputs))
            judged, result.finite = judgement.loss, judgement.finite
        result.parts.append(judged)
        return result

    def _let_judge(self) -> None:
        """From now on the discriminator takes part."""
        self.adversarial, judge = True, self.discriminator.__call__
        self.loss = ReconstructionLoss(self.model, self.stage, self.perceptual, judge)
        self.loss.train()
        self.updater.use(self.loss)

    def _noise(self, number: int, images: Tensor) -> Tensor:
        """Noise for the latents of this process's share of a batch; it follows from the step."""
        generator = generator_for(self.config.seed, LATENT_STREAM, number, device=self.device)
        size = [n // self.model.factor for n in images.shape[2:]]
        shape = len(images) * self.processes.world, self.model.latent_channels, *size
        return self.processes.share(torch.randn(shape, generator=generator, device=self.device))

    @torch.no_grad()
    def evaluate(self, dataset: Images, batch_size: int) -> float:
        """How far reconstructions by the averaged weights are from a data set's images."""
        total = 0.0
        for images, decoded in self.reconstructed(dataset, batch_size):
            distance = DISTANCES[self.stage.reconstruction](2 * decoded, 2 * images)
            total += distance.item() * len(images)
        return total / len(dataset)

    @torch.no_grad()
    def reconstructed(self, dataset: Images, batch_size: int):  # noqa: ANN201
        """Images and their reconstructions by the averaged weights, in [0, 1], batch by batch.

        The latents are the posterior's means.
        """
        self.loss.eval()
        batches = counted(
            dataset.batches(batch_size),
            len(dataset),
            "reconstructing",
            enabled=self.processes.is_main,
        )
        with self.updater.ema.applied(), self.precision.autocast():
            for images, _ in batches:
                posterior = self.model.encode(2 * images.to(self.device) - 1)
                decoded = self.model.decode(posterior.mode()).float()
                yield images, ((decoded + 1) / 2).clamp(0, 1).cpu()
        self.loss.train()

    def held_out(self) -> Images:
        """The images to judge by: those for validation, else the test or training images."""
        splits = self.splits
        dataset = splits.val or splits.test or splits.train.plain()
        return dataset.at_most(self.config.train_cfg.eval_images)

    def scores(self) -> dict[str, float]:
        """PSNR in dB and, for images large enough, SSIM: means over held-out images."""
        pairs = list(self.reconstructed(self.held_out(), self.config.loader.batch_size))
        found = {"psnr": torch.cat([psnr(*pair) for pair in pairs]).mean().item()}
        if self.stage.resolution >= WINDOW:
            found["ssim"] = torch.cat([ssim(*pair) for pair in pairs]).mean().item()
        return found

    def picture(self) -> Picture:
        """A few held-out images above their reconstructions."""
        dataset = self.held_out().at_most(SHOWN)
        images, decoded = next(iter(self.reconstructed(dataset, SHOWN)))
        grid = image_grid(torch.cat([images, decoded]), columns=len(images))
        return Picture("reconstruction", with_margins(grid, beside=["original", "decoded"]))

    def state_dict(self) -> dict[str, Any]:
        return {
            "stage": self.number,
            "model": self.model.state_dict(),
            **self.updater.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "adversary": self.adversary.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.start_from(state)
        self.updater.load_state_dict(state)
        self.adversary.load_state_dict(state["adversary"])

    def start_from(self, state: dict[str, Any]) -> None:
        """Take over both networks' weights from a checkpoint, such as that of the stage before."""
        load_strictly(self.model, state["model"], state["path"])
        load_strictly(self.discriminator, state["discriminator"], state["path"])
        self.updater.ema.restart()
        self.adversary.ema.restart()

"""How a diffusion model learns: the batch's random numbers, its loss, its pictures.

Everything random in a step follows from (seed, step): t and the noise are drawn here for the whole
batch, by all processes alike, and each takes its slice. So several processes train like one, and a
run that was killed goes on to the very same weights. What dropout drops depends on the process too.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..autoencoders.latents import FirstStage
from ..autoencoders.losses import ReconstructionLoss, find_perceptual
from ..config import Config
from ..data.batches import load_together
from ..datasets import Images, Splits, spread_evenly
from ..doctor.checkup import check_up
from ..doctor.patient import Patient, looked_at
from ..metrics.in_training import SampleScores
from ..models.build import build_model, first_weights, part
from ..models.denoisers import denoiser_of
from ..models.variants import PromptTable, null_label
from ..runtime import checkpoint
from ..runtime.device import Precision
from ..runtime.hashes import hash_of
from ..runtime.processes import Processes
from ..runtime.progress import counted
from ..runtime.streams import DROPOUT_STREAM, EVAL_STREAM, STEP_STREAM, fork_rng, generator_for
from ..runtime.visualize import POINT, captioned_grid, image_grid, point_cloud, with_margins
from ..samplers.draw import draw_samples, draw_together
from ..samplers.film import Film
from ..samplers.sampler import Sampler
from ..settings.autoencoder import Stage
from ..text.contexts import Contexts, encode_captions, make_text_encoder
from ..text.encoder import TextEncoder
from ..utils import UserError, default, shown
from ..weights import load_strictly
from .diffusion_losses import JointLoss, TrainingLoss
from .latent_cache import cache_latents
from .learner import Learner, NoiseLevels, Picture, StepResult
from .optim import learning_rate
from .updater import Updater

MEASURED_IMAGES = 1000  # enough for the standard deviation of data to a percent or so
BATCH = 32  # images that are encoded at once
SCORED_AT_ONCE = 250  # samples drawn at once for scores, as by evaluate.py
SHOWN_CAPTIONS = 8  # in the pictures of a run with captions
FILMED, FRAMES = 10, 60  # samples and frames of the film on a run's page,
LARGE, FILMED_LARGE, FRAMES_LARGE = 32, 5, 24  # and of images with a side above 32 pixels
LEVELS, AT_LEVEL = 10, 32  # noise levels at which the loss is measured, and images at each


class DiffusionLearner(Learner):
    """A diffusion model of a config, with its data.

    Args:
        config: the resolved config.
        precision: device and number format.
        processes: this process among all.

    Raises:
        UserError: the config does not fit the data or the machine.
    """

    kind = Config.kind
    loss_code = "compute_loss"

    def __init__(self, config: Config, precision: Precision, processes: Processes):
        self.config, self.precision, self.processes = config, precision, processes
        self.device = precision.device
        torch.manual_seed(config.seed)
        self.model = build_model(config).to(self.device)
        if processes.machines > 1 and self.model.vae is not None:
            weights = {
                "the hash of the autoencoder's weights": hash_of(self.model.vae.state_dict())
            }
            processes.must_agree(weights, "copy the file of weights to all machines")
        shape, number = config.model.img_shape, config.model.num_classes
        self.splits = load_together(config.dataset, shape, processes, number)
        self.classes = self.splits.train.classes
        reads_text = self.splits.train.captions is not None
        # Surplus classes would learn nothing; often it is the wrong folder
        if (
            config.model.conditional
            and not reads_text
            and len(self.classes) < config.model.num_classes
        ):
            raise UserError(
                f"data set {config.dataset.name} in {shown(config.dataset.data_folder)} has "
                f"{len(self.classes)} classes, but 'model.num_classes' is "
                f"{config.model.num_classes}: set it to {len(self.classes)}, or name another "
                "'dataset.data_folder'"
            )
        self.contexts: Contexts | None = None
        if reads_text:
            self._use_encoder(make_text_encoder(config))
        if isinstance(self.model.vae, FirstStage):
            self._measure_latents(self.model.vae)
        self.sampler = Sampler.of_run(config.train_cfg)
        self.score_sampler = Sampler.of_scores(config.train_cfg)
        for sampler in (self.sampler, self.score_sampler):
            sampler.check_written(self.model)
        self.sample_scores = None
        self.patient: Patient | None = None
        if config.train_cfg.eval_metrics:
            self.sample_scores = SampleScores(config, self.splits, self.device, processes)
        if config.dataset.latent_cache:
            self.splits = self._cached(self.splits, self.model.vae.encoder)
        if config.train_cfg.channels_last:
            self.model.to(memory_format=torch.channels_last)
        if config.train_cfg.compile:
            precision.compile(self.model.model)
        self.loss = TrainingLoss(self.model, config)
        self.objective = self.loss.objective
        self.joint = config.vae.freeze_vae_epoch is not None
        self._name_losses()
        trained = self._with_autoencoder() if self.joint else self.loss
        self.updater = Updater(self.model, trained, config.train_cfg, precision, processes)
        self.distillation: Any = None
        if config.fm.teacher is not None:
            kind = part("training.distillation", "Distillation")
            run = config, precision, processes
            self.distillation = taught = kind(self.model, self.updater, *run)
            self.loss = taught.loss
            self.loss_name, self.objective_name = taught.loss_name, taught.objective_name

    def _name_losses(self) -> None:
        """Say what evaluation measures, and what training minimises."""
        vae, self.loss_name = self.config.vae, self.objective.loss_name
        self.objective_name = self.loss_name + self.objective.drawn
        if self.joint:
            self.objective_name += (
                f", plus {vae.vae_lambda:g} times the autoencoder's loss until epoch "
                f"{vae.freeze_vae_epoch}"
            )

    def _use_encoder(self, encoder: TextEncoder) -> None:
        """Have captions read by a text encoder, and number those that pictures and scores show.

        In a checkpoint the captions of the pictures take the place of the names of classes.
        """
        train, settings = self.splits.train, self.config.train_cfg
        texts, folder = train.captions.texts, self.config.output_folder / "text_cache"
        encoder = encoder.to(self.device)
        self.contexts = encode_captions(texts, encoder, folder, self.processes)
        number = max(SHOWN_CAPTIONS, settings.eval_samples if settings.eval_metrics else 0)
        numbers = torch.cat([torch.tensor([PromptTable.null_label]), train.labels[:number]])
        self.model.model.label_embd.set_prompts(self.contexts(numbers))
        self.classes = [texts[i] for i in numbers[1 : SHOWN_CAPTIONS + 1].tolist()]

    def _condition(self, labels: Tensor) -> Tensor:
        """What the network is given: classes [B], or the contexts of captions by their numbers."""
        return labels if self.contexts is None else self.contexts(labels)

    def describe(self) -> str:
        teacher = self.config.fm.teacher
        taught = "" if teacher is None else f", distilled from {shown(teacher)}"
        number = self.updater.num_parameters / 1e6
        return f"{number:.2f}M parameters{taught}{self.objective.describe()}"

    @torch.no_grad()
    def measure(self, batch_size: int) -> None:
        """Tell a model the standard deviation of what it diffuses, if it has to know."""
        if not self.objective.measures_data:
            return
        count, total, squares = 0, 0.0, 0.0
        dataset = self.splits.train.at_most(MEASURED_IMAGES)
        for images, _ in self._batches(dataset, batch_size, "measuring sigma_data"):
            images = images.to(self.device)
            if not self.model.use_vae:
                images = 2 * images - 1
            elif not self.config.dataset.latent_cache:
                with self.precision.autocast():
                    images = self.model.vae.encoder(images)
            values = images.cpu().double()
            count += values.numel()
            total += values.sum().item()
            squares += values.square().sum().item()
        variance = squares / count - (total / count) ** 2
        if variance < 1e-12:
            raise UserError(
                f"all training images in {shown(self.config.dataset.data_folder)} are of one and "
                "the same colour, there is nothing to learn: name another 'dataset.data_folder'"
            )
        self.objective.set_deviation(self.processes.same(math.sqrt(variance)))

    def _measure_latents(self, vae: FirstStage) -> None:
        """Have the latents scaled; a resumed run finds the same scale, which its cache needs."""
        images = self.splits.train.plain().at_most(MEASURED_IMAGES)
        with self.precision.autocast():
            vae.measure(batch for batch, _ in self._batches(images, BATCH, "measuring latents"))
        for buffer in vae.encoder.standardize.buffers():  # of which processors may round otherwise
            buffer.copy_(self.processes.same(buffer.cpu()))

    def _batches(
        self, dataset: Images, batch_size: int, what: str
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """All batches of a data set, in its own order, with a bar that says what for."""
        batches = dataset.batches(batch_size)
        return counted(batches, len(dataset), what, enabled=self.processes.is_main)

    def _with_autoencoder(self) -> JointLoss:
        """The loss while the autoencoder is trained, too; lets its weights have gradients."""
        section, vae = self.config.vae, self.model.vae
        vae.requires_grad_(True)
        perceptual = find_perceptual(
            section.lpips, section.lpips_lambda, "vae.lpips", self.processes
        )
        stage = Stage(kl_weight=section.kl_beta, lpips_weight=section.lpips_lambda)
        loss = ReconstructionLoss(vae, stage, perceptual).to(self.device)
        return JointLoss(self.loss, loss, section.vae_lambda)

    def begin_epoch(self, epoch: int) -> None:
        """Freeze an autoencoder that was trained along, from its epoch on, as its average."""
        self.loss.train()
        if self.joint and epoch + 1 >= self.config.vae.freeze_vae_epoch:
            self.joint = False
            vae, ema = self.model.vae.requires_grad_(False), self.updater.ema
            for name, parameter in vae.named_parameters():
                parameter.data.copy_(ema.average[f"vae.{name}"])
                parameter.grad = None
            self.updater.use(self.loss)

    def part_names(self) -> list[str]:
        if self.distillation is not None:
            return list(self.distillation.part_names)
        return list(JointLoss.NAMES) if self.joint else []

    def step(self, number: int, steps_per_epoch: int, images: Tensor, labels: Tensor) -> StepResult:
        rate = learning_rate(self.config.train_cfg, number, steps_per_epoch)
        dropout = generator_for(self.config.seed, DROPOUT_STREAM, number, self.processes.rank)
        with fork_rng(dropout.initial_seed(), self.device):  # dropout takes no generator
            if self.distillation is not None:
                return self.distillation.step(rate, number, self._condition(labels.to(self.device)))
            return self.updater.step(rate, *self.prepare(number, images, labels))

    def prepare(self, number: int, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """Put a batch on the device, draw its t and noise, and drop some of its labels."""
        images = images.to(self.device, non_blocking=True)
        labels = labels.to(self.device, non_blocking=True)
        if self.config.train_cfg.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        generator = generator_for(self.config.seed, STEP_STREAM, number, device=self.device)
        batch_size = len(images) * self.processes.world
        t, noise = self._draw(batch_size, generator, training=True)
        dropout = self.config.model.label_dropout
        if dropout:
            dropped = torch.rand(batch_size, generator=generator, device=self.device) < dropout
            labels = labels.masked_fill(self.processes.share(dropped), null_label(self.model))
        labels = self._condition(labels)
        drawn = [t, noise]
        if self.joint:
            drawn.append(torch.randn(noise.shape, generator=generator, device=self.device))
        return images, labels, *(self.processes.share(tensor) for tensor in drawn)

    def _draw(
        self, number: int, generator: torch.Generator, training: bool
    ) -> tuple[Tensor, Tensor]:
        """Times of the model, [number], see `Objective.draw_times`; noise [number, *img_shape]."""
        t = self.objective.draw_times(number, generator, training)
        options = {"generator": generator, "device": generator.device}
        return t, torch.randn(number, *self.model.img_shape, **options)

    @torch.no_grad()
    def evaluate(self, dataset: Images, batch_size: int) -> float:
        """The averaged model's loss on a data set, with t and noise the same every time.

        All time steps are drawn equally often, even with `min_snr_gamma`, and no label is dropped.
        """
        generator = generator_for(EVAL_STREAM, device=self.device)
        total = 0.0
        self.loss.eval()
        with self.updater.ema.applied(), self.precision.autocast():
            for images, labels in self._batches(dataset, batch_size, "evaluating"):
                t, noise = self._draw(len(labels), generator, training=False)
                condition = self._condition(labels.to(self.device))
                loss = self.loss(images.to(self.device), condition, t, noise)
                total += loss.item() * len(labels)
        self.loss.train()
        return total / len(dataset)

    def scores(self) -> dict[str, float]:
        """Scores of samples, as `train_cfg.eval_metrics` asks; see `SampleScores`.

        The samples of each call start from the same noise.
        """
        if self.sample_scores is None:
            return {}

        def draw(labels: Tensor) -> Tensor:
            options = self.score_sampler, self.config.seed, SCORED_AT_ONCE, self.processes
            return draw_together(self.model, labels, self.precision, *options)

        self.loss.eval()
        with self.updater.ema.applied():
            found = self.sample_scores(draw)
        self.loss.train()
        return found

    @torch.no_grad()
    def noise_levels(self) -> NoiseLevels | None:
        """The loss at ten noise levels, each on the same few held-out or else training images.

        The levels are spread as evaluation draws them: a tenth of what it draws is between two.
        None for what was distilled, which knows pure noise alone.
        """
        if self.distillation is not None:
            return None
        held_out = default(self.splits.test, self.splits.val)
        images = default(held_out, self.splits.train.plain()).at_most(AT_LEVEL)
        batch, labels = next(images.batches(AT_LEVEL))
        batch, condition = batch.to(self.device), self._condition(labels.to(self.device))
        generator = generator_for(EVAL_STREAM, device=self.device)
        drawn = self.objective.draw_times(100 * LEVELS, generator, training=False).sort().values
        places = torch.linspace(0, len(drawn) - 1, LEVELS, device=self.device).round().long()
        levels = drawn[places].unique()
        options = {"generator": generator, "device": self.device}
        noise = torch.randn(len(batch), *self.model.img_shape, **options)
        self.loss.eval()
        loss = self.loss
        with self.updater.ema.applied(), self.precision.autocast():
            if self.model.use_vae and not self.config.dataset.latent_cache:  # encode once for all
                batch = self.model.vae.encoder(batch)
                loss = TrainingLoss(self.model, self.config, of_latents=True).eval()
            losses = [
                loss(batch, condition, level.expand(len(batch)), noise).item()
                for level in counted(
                    levels.split(1), len(levels), "noise levels", "level", self.processes.is_main
                )
            ]
        self.loss.train()
        alpha, sigma = denoiser_of(self.model).rates(levels)
        return NoiseLevels((sigma / alpha).tolist(), losses)

    def findings(
        self, step: int, is_over: bool, losses: Sequence[float | None], picture: Picture | None
    ) -> list[str]:
        """As `Learner.findings`; none of a compiled network: new shapes would compile it again."""
        if self.config.train_cfg.compile:
            return []
        if self.patient is None or self.joint:  # training the autoencoder changes the latents
            are_latents = self.config.dataset.latent_cache and self.model.use_vae
            data = *looked_at(self.splits.train), are_latents
            self.patient = Patient(self.model, self.config, *data)
        patient = self.patient  # which keeps what it has computed of the data
        patient.step, patient.is_over, patient.losses = step, is_over, list(losses)
        patient.samples = patient.sample_labels = None
        if picture is not None and picture.images is not None and picture.columns:
            patient.samples = picture.images
            total, columns = len(self.classes), len(picture.columns)
            patient.sample_labels = spread_evenly(columns, total).repeat(
                len(picture.images) // columns
            )
        self.loss.eval()
        with self.updater.ema.applied():
            if step:
                patient.current = self.updater.ema.average  # which holds them meanwhile
                patient.first = first_weights(self.config)
            found = check_up(patient).findings
        self.loss.train()
        return [str(finding) for finding in found]

    def picture(self) -> Picture | None:
        """Samples of the averaged model, one class or caption per column."""
        settings = self.config.train_cfg
        rows = settings.num_eval_samples
        if rows == 0:
            return None
        total = len(self.classes)
        drawn = spread_evenly(default(settings.num_eval_classes, total), total)
        columns = len(drawn)
        first = 0 if self.contexts is None else PromptTable.null_label + 1
        labels = (first + drawn).repeat(rows)
        shape = tuple(self.config.model.img_shape)
        large, are_points = max(shape) > LARGE, shape == POINT
        film = Film(self.model, *((FILMED_LARGE, FRAMES_LARGE) if large else (FILMED, FRAMES)))
        self.loss.eval()
        with self.updater.ema.applied():
            batches = draw_samples(
                self.model,
                labels,
                self.precision,
                seed=self.config.seed,
                batch_size=len(labels) if are_points else 100,
                film=film,
                sampler=self.sampler,
            )
            images = torch.cat(list(batches))
        names = [self.classes[i] for i in drawn.tolist()]
        if self.contexts is None:
            grid = image_grid(images, columns)
            grid = with_margins(grid, names if self.config.model.conditional else ())
        else:
            grid = captioned_grid(images, names * rows, columns)
        self.loss.train()
        steps = self.sampler.resolved(self.model).num_steps(denoiser_of(self.model))
        titles = names if self.contexts is not None or self.config.model.conditional else ()
        if are_points:  # all in one picture
            frames = [point_cloud(points)[None] for points in film.frames]
            return Picture("sample", grid, film=frames, steps=steps)
        return Picture("sample", grid, images, titles, film.frames, steps)

    def state_dict(self) -> dict[str, Any]:
        state = {"model": self.model.state_dict(), **self.updater.state_dict()}
        if self.contexts is not None:
            state["text"] = self.contexts.state_of_encoder(self.config)
        if self.distillation is not None:
            state["critic"] = self.distillation.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        load_strictly(self.model, state["model"], state["path"])
        self.updater.load_state_dict(state)
        if self.distillation is not None:
            self.distillation.load_state_dict(state["critic"], state["path"])
        if self.contexts is None:
            return
        if state["text"]["hash"] != self.contexts.key:
            self._use_encoder(make_text_encoder(self.config, checkpoint.saved_encoder(state)))

    def _cached(self, splits: Splits, encoder: nn.Module) -> Splits:
        """The data sets as latents; one process encodes them, the others wait and read."""
        folder = self.config.output_folder / "latent_cache"
        variants = self.config.dataset.latent_variants
        with self.processes.in_turn():
            latents = {
                name: dataset and cache_latents(dataset, encoder, variants, folder, self.precision)
                for name, dataset in vars(splits).items()
            }
        return Splits(**latents)

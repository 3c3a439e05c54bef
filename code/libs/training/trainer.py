"""The training loop: epochs, losses, checkpoints, samples, and going on after a stop."""

import math
import shutil
import signal
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from ..config import Config, dump_config, to_dict
from ..data.batches import EpochBatches, make_loader
from ..datasets import Images
from ..page.run_page import NAME as PAGE
from ..runtime import checkpoint, progress
from ..runtime.device import Precision
from ..runtime.processes import Processes
from ..runtime.progress import Pace, duration, going_on_without, progress_bar, say
from ..runtime.streams import rng_state, set_rng_state
from ..runtime.visualize import LOWER_IS_BETTER, save_image
from ..settings.autoencoder import AutoencoderConfig
from ..utils import UserError, replacing, shown
from .checkpoint_page import Progress, write_run_page
from .learner import Learner, Picture, StepResult
from .run_log import History, RunLog

MAX_BAD_STEPS = 10  # in a row
SLOW_STEP = 1.5  # times the shortest one
LOOK_AGAIN = 60  # seconds between two looks at what makes steps slow
LOSS_TAGS = {  # TensorBoard's names of what is measured alike
    "train": "train/evaluated_loss",
    "validation": "validation/loss",
    "test": "test/loss",
}


class Trainer:
    """Trains a model in a run folder.

    Args:
        learner: the model with its data.
        config: the resolved config, of the learner's kind.
        folder: where checkpoints, samples and logs go.
        precision: device and number format.
        processes: this process among all.
        print_freq: steps between two lines of output.
        ckpt_freq: epochs between two checkpoints.
        state: a checkpoint, as `checkpoint.read` returns it, to go on from.

    Raises:
        UserError: the config does not fit the data, the machine or the checkpoint.
    """

    def __init__(
        self,
        learner: Learner,
        config: Config | AutoencoderConfig,
        folder: Path,
        precision: Precision,
        processes: Processes,
        print_freq: int = 100,
        ckpt_freq: int = 5,
        state: dict[str, Any] | None = None,
    ):
        self.learner, self.config, self.folder = learner, config, folder
        self.precision, self.processes = precision, processes
        self.print_freq, self.ckpt_freq = print_freq, ckpt_freq
        self.splits = learner.splits
        self.batch_size = self._fitting_batch_size(config.loader.batch_size)
        self.batches = EpochBatches(len(self.splits.train), self.batch_size, config.seed, processes)
        self.steps_per_epoch = len(self.batches)
        self.last_step = config.train_cfg.epochs * self.steps_per_epoch
        if config.train_cfg.max_steps is not None:
            self.last_step = min(self.last_step, config.train_cfg.max_steps)

        self.names = learner.loss_name, learner.objective_name
        self.history = History(*self.names)
        self.step = 0
        self.wandb_id: str | None = None  # of the run to go on in
        self.best_val_loss: float | None = None
        self.best_scores: dict[str, float] = {}
        self.bad_steps = 0
        self.epoch_losses: list[float] = []
        self.pace = Pace()
        self.shortest_step, self.next_look = math.inf, 0.0
        self.asked_to_stop = False
        self.said: str | None = None  # what is off
        if state is None:
            learner.measure(self.batch_size)
        else:
            self._restore(state)

    def describe(self) -> str:
        """One line: the model, the data, and what it runs on."""
        sizes = {"training": self.splits.train, "validation": self.splits.val}
        sizes |= {"test": self.splits.test}
        images = ", ".join(f"{len(d)} {name}" for name, d in sizes.items() if d is not None)
        return (
            f"{self.learner.describe()}; {images} images; "
            f"{self.steps_per_epoch} steps per epoch; "
            f"{self.precision.device} in {self.precision.name}"
            + (f"; {self.processes.world} processes" if self.processes.world > 1 else "")
        )

    # Running

    def fit(self) -> Path:
        """Train to the end of the last epoch, or of `max_steps`; return the final checkpoint.

        Raises:
            UserError: ten steps in a row had no finite loss, or a checkpoint cannot be written.
            KeyboardInterrupt: the process was asked to stop (Ctrl-C, SIGTERM); the step was
                finished and a checkpoint written.
        """
        is_new = self.processes.is_main and not self.folder.exists()
        self._open_folder()
        stop_signals = signal.SIGINT, signal.SIGTERM
        handlers = [signal.signal(number, self._ask_to_stop) for number in stop_signals]
        on_gpu = self.precision.device.type == "cuda"
        workers = self.config.loader.num_workers
        loader = make_loader(self.splits.train, self.batches, workers, pin=on_gpu)
        total, done = (n * self.batch_size for n in (self.last_step, self.step))
        is_main = self.processes.is_main
        if is_main and self.step == 0:
            self._say_what_is_off(None)
        try:
            with progress_bar(total, "training", "image", done, enabled=is_main) as self.bar:
                while self.step < self.last_step:
                    self._train_epoch(loader)
            final = self._final_name()
            self._checkpoint(final)
        finally:
            self.log.close()
            for number, handler in zip(stop_signals, handlers, strict=True):
                signal.signal(number, handler)
            if is_new and self.pace.each("step") is None:  # no step done: nothing worth keeping
                shutil.rmtree(self.folder, ignore_errors=True)
        return self.folder / final

    def _train_epoch(self, loader: DataLoader) -> None:
        """Train from the current step to the end of its epoch, or of the run."""
        self.batches.epoch, self.batches.start = divmod(self.step, self.steps_per_epoch)
        self.learner.begin_epoch(self.batches.epoch)
        started = progress.now()
        for images, labels in loader:
            result = self.learner.step(self.step, self.steps_per_epoch, images, labels)
            self.step += 1
            seconds = progress.now() - started
            self.pace.add("step", seconds)
            self._watch_speed(seconds)
            self._count_bad_steps(result)
            self._report(result)
            ckpt_steps = self.config.train_cfg.ckpt_steps
            stop = self.processes.any(self.asked_to_stop, self.precision.device)
            stop = stop and self.step < self.last_step  # else the run has reached its end
            if stop or (ckpt_steps is not None and self.step % ckpt_steps == 0):
                with self.pace.timing("saving"):
                    self._save(f"step-{self.step:08d}.pth")
            if stop:
                raise KeyboardInterrupt(f"go on with --resume {shown(self.folder)}")
            if self.step == self.last_step:
                break
            started = progress.now()
        self._end_epoch()

    def _count_bad_steps(self, result: StepResult) -> None:
        """Report a step without a finite loss; give up after too many in a row."""
        if result.finite:
            self.bad_steps = 0
            return
        self.bad_steps += 1
        if self.processes.is_main:
            say(f"step {self.step}: the loss or its gradient is NaN or infinite, step skipped")
        if self.bad_steps == MAX_BAD_STEPS:
            causes = [f"a learning rate that is too high (it is {result.learning_rate:.2g})"]
            if self.precision.name != "fp32":
                causes.append(
                    f"overflow in half precision (dtype is {self.precision.name}, try fp32)"
                )
            causes.append(f"a mistake in {self.learner.loss_code}")
            listed = f"{', '.join(causes[:-1])} or {causes[-1]}"
            raise UserError(
                f"the last {MAX_BAD_STEPS} losses, up to step {self.step}, were NaN or infinite. "
                f"Likely causes: {listed}{checkpoint.hint_to_resume(self.folder)}"
            )

    def _watch_speed(self, seconds: float) -> None:
        """Go on in fp32 where other programs have made bf16 the slower one."""
        self.shortest_step = min(self.shortest_step, seconds)
        is_slow = seconds > SLOW_STEP * self.shortest_step
        if not is_slow or progress.now() < self.next_look or self.processes.world > 1:
            return
        self.next_look = progress.now() + LOOK_AGAIN
        if self.precision.leave_if_slow():
            say(
                f"step {self.step} took {seconds / self.shortest_step:.1f} times as long as the "
                "fastest, and bf16 is slower than fp32 now: going on in fp32 (dtype: auto; "
                "dtype: bf16 keeps it)"
            )

    def _ask_to_stop(self, number: int, frame: object) -> None:
        """Have the current step finished and saved; a second signal stops at once."""
        if self.asked_to_stop:
            raise KeyboardInterrupt
        self.asked_to_stop = True

    # Looking at the run

    def _report(self, result: StepResult) -> None:
        """Update the progress bar; every `print_freq` steps print a line and log numbers."""
        self.epoch_losses.append(result.loss)
        speed = self.batch_size / self.pace.each("step")
        self.bar.set_postfix_str(f"loss {result.loss:.4f}, {speed:.0f} images/s", refresh=False)
        self.bar.update(self.batch_size)
        if self.step % self.print_freq != 0 and self.step != self.last_step:
            return
        loss = _finite_mean(self.epoch_losses[-self.print_freq :])
        epoch = self.step / self.steps_per_epoch
        named = zip(self.learner.part_names(), result.parts, strict=True)
        parts = {name: number for name, number in named if math.isfinite(number)}
        self.history.add_steps(epoch, loss, parts)
        numbers = {
            "train/loss": loss,
            "train/learning_rate": result.learning_rate,
            "train/images_per_second": speed,
            "train/grad_norm": result.grad_norm,
        }
        numbers |= {f"train/{name}": number for name, number in parts.items()}
        self.log.scalars(numbers, self.step)
        if self.processes.is_main:
            shown_loss = "none" if loss is None else f"{loss:.4f}"
            say(
                f"epoch {epoch:.2f}/{self.config.train_cfg.epochs}  step {self.step}  loss "
                f"{shown_loss}  lr {result.learning_rate:.2g}  {speed:.0f} images/s  "
                f"{self._time_left()}"
            )

    def _time_left(self) -> str:
        """What the rest of the run takes, as evaluations and checkpoints took so far."""
        seconds, unknown = self.pace.left(self._to_come())
        return f"{duration(seconds)} " + ("of training left" if unknown else "left")

    def _to_come(self) -> dict[str, int]:
        """How many of each timed part the run has left, after a step."""
        train = self.config.train_cfg
        this, last = (math.ceil(n / self.steps_per_epoch) for n in (self.step, self.last_step))

        def at_ends_of_epochs(every: int) -> int:  # from this one on, and always of the last one
            return (last - 1) // every - (this - 1) // every + 1

        saves = 0
        if train.ckpt_steps is not None:
            saves = self.last_step // train.ckpt_steps - (self.step - 1) // train.ckpt_steps
        return {
            "step": self.last_step - self.step,
            "saving": saves,
            "evaluation": at_ends_of_epochs(train.eval_every),
            "checkpoint": at_ends_of_epochs(self.ckpt_freq),
        }

    def _end_epoch(self) -> None:
        """Losses, and at some epochs a checkpoint with samples."""
        epoch, beyond = divmod(self.step, self.steps_per_epoch)
        is_last = self.step == self.last_step
        mean = _finite_mean(self.epoch_losses)
        losses = {} if self._held_out() else {"train": mean}  # else nothing to compare with
        scores: dict[str, float] = {}
        is_evaluated = is_last or epoch % self.config.train_cfg.eval_every == 0
        started = progress.now()
        if is_evaluated:
            losses |= self._evaluate()
            scores = self._score()
        self.history.add_epoch(self.step / self.steps_per_epoch, mean, losses, scores)
        self.log.scalars({"train/epoch_loss": mean}, self.step)
        if self._held_out():
            self.log.scalars({LOSS_TAGS[name]: loss for name, loss in losses.items()}, self.step)
        self.log.scalars({f"score/{name}": value for name, value in scores.items()}, self.step)
        if beyond == 0:
            self.epoch_losses = []
        is_best = self._is_best(losses.get("validation"), scores)
        if is_best and self.config.train_cfg.keep_best_model:
            self._save("best.pth")
        if is_evaluated:
            self.pace.add("evaluation", progress.now() - started)
        if not is_last and epoch % self.ckpt_freq == 0:
            self._checkpoint(f"epoch-{epoch:04d}.pth")

    def _held_out(self) -> dict[str, Images]:
        """The validation and test images, if there are any."""
        splits = {"validation": self.splits.val, "test": self.splits.test}
        return {name: images for name, images in splits.items() if images}

    def _evaluate(self) -> dict[str, float]:
        """The averaged model's losses on held-out images, and on as many training images.

        All are measured alike, so that a gap between them is one between the images.
        """
        limit = self.config.train_cfg.eval_images
        sets = {name: images.at_most(limit) for name, images in self._held_out().items()}
        if not sets:
            return {}
        number = max(len(images) for images in sets.values())
        sets = {"train": self.splits.train.plain().at_most(number), **sets}
        size = self.batch_size
        found = self.processes.ask_first(
            lambda: {name: self.learner.evaluate(images, size) for name, images in sets.items()}
        )
        losses = {name: loss for name, loss in found.items() if math.isfinite(loss)}
        if self.processes.is_main:
            listed = ", ".join(f"{name} {loss:.4f}" for name, loss in found.items())
            epoch = self.step / self.steps_per_epoch
            say(f"epoch {epoch:.4g}: {self.learner.loss_name}, averaged weights: {listed}")
        return losses

    def _score(self) -> dict[str, float]:
        """The learner's scores, the same in all processes, without those that are not finite."""
        found = self.processes.same(self.learner.scores())
        if found and self.processes.is_main:
            epoch = self.step / self.steps_per_epoch
            listed = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
            say(f"epoch {epoch:.4g}: {listed}")
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def _is_best(self, val: float | None, scores: dict[str, float]) -> bool:
        """Note the best values so far; say whether the one that best.pth is chosen by is new."""
        improved = set()
        if val is not None and (self.best_val_loss is None or val < self.best_val_loss):
            self.best_val_loss = val
            improved.add(None)
        for name, value in scores.items():
            best = self.best_scores.get(name)
            if best is None or (value < best if name in LOWER_IS_BETTER else value > best):
                self.best_scores[name] = value
                improved.add(name)
        return self.config.train_cfg.best_metric in improved

    def _draw(self) -> None:
        """Write NAME-EPOCH.png, a picture of what the averaged model can do, and the run's page."""
        picture = self.learner.picture() if self.processes.is_main else None
        if picture is not None:
            epoch = math.ceil(self.step / self.steps_per_epoch)
            file = self.folder / f"{picture.name}-{epoch}.png"
            with going_on_without(file):
                save_image(picture.grid, file)
            self.log.image(f"{picture.name}s", picture.grid, self.step)
        if self.processes.is_main:
            self._say_what_is_off(picture)
            done = Progress(self.step, self.last_step, self.steps_per_epoch, self.describe())
            with going_on_without(self.folder / PAGE):
                write_run_page(self.learner, self.config, self.folder, self.history, done, picture)
        self.processes.wait()

    def _say_what_is_off(self, picture: Picture | None) -> None:
        """One sentence where the run has a fault, unless it was said before."""
        is_over, losses = self.step == self.last_step, self.history.values["epoch_loss"]
        found = self.learner.findings(self.step, is_over, losses, picture)
        if found and found[0] != self.said:
            self.said = found[0]
            more = f" More: python code/doctor.py {shown(self.folder)}" if self.step else ""
            say(f"something is off: {self.said}{more}")

    # Saving and going on

    def _checkpoint(self, name: str) -> None:
        """Write a checkpoint, the loss history and a picture."""
        with self.pace.timing("checkpoint"):
            self._save(name)
            self._draw()

    def _save(self, name: str) -> None:
        """Write a checkpoint and the loss history."""
        if self.processes.is_main:
            state = {
                "kind": self.learner.kind,
                "config": to_dict(self.config, self.folder),
                "classes": self.learner.classes,
                "step": self.step,
                "steps_per_epoch": self.steps_per_epoch,
                **self.learner.state_dict(),
                "rng": rng_state(),
                "history": self.history.values,
                "best_val_loss": self.best_val_loss,
                "best_scores": self.best_scores,
                "bad_steps": self.bad_steps,
                "epoch_losses": self.epoch_losses,
                "wandb_id": self.log.wandb_id,
            }
            checkpoint.save(state, self.folder / name)
            checkpoint.remove_old(self.folder, self.config.train_cfg.keep_last_n)
            self.history.write(self.folder)
        self.processes.wait()

    def _final_name(self) -> str:
        """The last checkpoint's name, by `train_cfg.keep_last_model`."""
        if self.config.train_cfg.keep_last_model:
            return "model_final.pth"
        epoch, beyond = divmod(self.step, self.steps_per_epoch)
        return f"step-{self.step:08d}.pth" if beyond else f"epoch-{epoch:04d}.pth"

    def _restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        if state["steps_per_epoch"] != self.steps_per_epoch:
            raise UserError(
                f"{state['path']} was trained with {state['steps_per_epoch']} steps per epoch, now "
                f"there are {self.steps_per_epoch}: the images in the data folder have changed"
            )
        if state["step"] >= self.last_step:
            raise UserError(
                f"{state['path']} is at step {state['step']}, and the run ends at step "
                f"{self.last_step} ({self.config.train_cfg.epochs} epochs of "
                f"{self.steps_per_epoch} steps): there is nothing left to do. To train longer, "
                "raise train_cfg.epochs or train_cfg.max_steps"
            )
        self.learner.load_state_dict(state)
        set_rng_state(state["rng"])
        self.history = History(*self.names, state["history"])
        self.step = state["step"]
        self.best_val_loss = state["best_val_loss"]
        self.best_scores = state.get("best_scores", {})  # earlier checkpoints had none
        self.bad_steps = state["bad_steps"]
        self.epoch_losses = state["epoch_losses"]
        if state["path"].parent.resolve() == self.folder.resolve():  # else it is another run
            self.wandb_id = state.get("wandb_id")  # earlier checkpoints had none

    # Setting up

    def _fitting_batch_size(self, wanted: int) -> int:
        """The batch size, or less where the data set is smaller, as a multiple of its parts."""
        number = len(self.splits.train)
        parts = self.processes.world * self.config.train_cfg.accumulate
        if wanted % parts:
            raise UserError(
                f"'loader.batch_size' {wanted} must be divisible by the number of processes times "
                f"'train_cfg.accumulate', {parts}"
            )
        fitting = min(wanted, number // parts * parts)
        there = (
            "there is 1 training image" if number == 1 else f"there are {number} training images"
        )
        if fitting == 0:
            raise UserError(
                f"{there}, too few for a batch in {parts} parts, the number of processes times "
                "'train_cfg.accumulate'"
            )
        if fitting < wanted and self.processes.is_main:
            split = f", and a batch has {parts} equal parts" if parts > 1 else ""
            say(f"batch size {fitting} instead of {wanted}: {there}{split}")
        return fitting

    def _open_folder(self) -> None:
        """Create the run's folder with its config.yaml and logs."""
        if self.processes.is_main:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                text = dump_config(self.config, self.folder)
                with replacing(self.folder / "config.yaml") as partial:
                    partial.write_text(text, encoding="utf-8")
            except OSError as error:
                raise UserError(f"cannot write to the run's folder: {error}") from None
        resolved = to_dict(self.config, self.folder)
        self.log = RunLog(
            self.folder,
            self.config.wandb,
            resolved,
            self.step,
            self.processes.is_main,
            self.wandb_id,
        )


def _finite_mean(values: list[float]) -> float | None:
    """The mean of the finite values; None where there is none."""
    finite = [v for v in values if math.isfinite(v)]
    return sum(finite) / len(finite) if finite else None

"""All that the page of play.py does, without the page: drawing, finishing a drawing, filling.

Pictures come and go as uint8 arrays [H, W, 3]; a model's own are enlarged so that every pixel is a
crisp square.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from ..models.denoisers import denoiser_of
from ..models.trained import TrainedModel
from ..models.variants import null_label
from ..runtime.device import Precision
from ..runtime.visualize import POINT, image_grid
from ..samplers.columns import pick_labels
from ..samplers.draw import draw_samples
from ..samplers.edits import Canvas
from ..samplers.film import Film
from ..samplers.flags import SamplerFlags
from ..samplers.guidance import guided
from ..samplers.sampler import NAMES, Sampler
from ..settings.checks import HAVE_ETA
from ..text.contexts import number_prompts
from ..utils import UserError
from .playground import EACH, MOST, Playground, Wish

POINTS = 2000  # of the plane, in one picture
FRAMES = 24  # of a chain that is shown
SIDE = 320  # pixels of a picture that is drawn on, at least


class Studio(Playground):
    """A trained model to play with; one thing at a time.

    Args:
        trained: the model, on its device.
    """

    def __init__(self, trained: TrainedModel):
        self.trained, self.model = trained, trained.model
        self.device = next(self.model.parameters()).device
        self.precision = Precision.pick(trained.config.dtype, self.device)
        self.reads_text = trained.config.model.context == "tokens"
        has_classes = trained.config.model.conditional and not self.reads_text
        self.classes = trained.classes if has_classes else []
        self.are_points = tuple(trained.config.model.img_shape) == POINT
        self.samplers = [name for name in (*NAMES[1:], NAMES[0]) if self._is_there(name)]
        self.can_edit = "ddim" in self.samplers and not (self.reads_text or self.are_points)
        self.can_guide = null_label(self.model) is not None
        kind = "latents" if self.model.use_vae else "pixels"
        steps = f"trained for {trained.step:,} steps"
        self.about = f"A {trained.config.model_name} of {kind}, {steps}."
        self.prompt = trained.classes[0] if self.reads_text else ""
        self.lock = threading.Lock()

    def _is_there(self, name: str) -> bool:
        try:
            Sampler(name).check_written(self.model)
        except (UserError, NotImplementedError):
            return False
        return True

    def usual_steps(self) -> tuple[int, int]:
        steps = len(denoiser_of(self.model).times(None, Sampler.spacing))
        most = max(steps, 100) if getattr(self.model, "betas", None) is None else steps
        return min(steps, 50), most

    def choices(self) -> list[str]:
        return [EACH, *self.classes] if self.classes else []

    def draw(self, wish: Wish) -> Iterator[np.ndarray]:
        sampler = self._sampler(wish)
        labels = self._labels(wish)
        columns = self._columns(wish, len(labels))
        states: queue.Queue[Tensor | BaseException | None] = queue.Queue()

        def work() -> None:
            try:
                with self.lock:
                    film = _Shown(self.model, len(labels), states)
                    drawn = draw_samples(
                        self.model,
                        labels,
                        self.precision,
                        wish.seed,
                        batch_size=len(labels),
                        film=film,
                        show_progress=False,
                        sampler=sampler,
                    )
                    states.put(torch.cat(list(drawn)))
                states.put(None)
            except BaseException as error:  # to be raised where it is waited for
                states.put(error)

        threading.Thread(target=work, daemon=True).start()
        while (state := states.get()) is not None:
            if isinstance(state, BaseException):
                raise state
            yield as_array(image_grid(state, columns))

    def finish(self, drawing: np.ndarray | None, wish: Wish, strength: float) -> np.ndarray:
        picture = self._picture(drawing, "draw something first")
        if picture.amax() - picture.amin() < 0.05:
            raise UserError("there is nothing on the canvas: draw something first")
        with self._canvas(wish) as canvas:
            labels = self._labels(wish).tolist()
            pixels = canvas.redraw(picture, labels, strength)
        return as_array(image_grid(pixels.cpu(), self._columns(wish, len(labels))))

    def fill(self, picture: np.ndarray | None, erased: np.ndarray, wish: Wish) -> np.ndarray:
        known = self._picture(picture, "choose a picture first")
        pixels, mask = (
            torch.from_numpy(_smaller(erased, size) > 127).float()[None, None].to(self.device)
            for size in (known.shape[2:], self.model.img_shape[1:])
        )
        if pixels.mean() in (0, 1):
            raise UserError("paint over the part that is to be drawn again, and leave the rest")
        with self._canvas(wish) as canvas:
            labels = self._labels(wish).tolist()
            filled = canvas.fill(known, pixels, mask, labels)
        return as_array(image_grid(filled.cpu(), self._columns(wish, len(labels))))

    def blank(self) -> np.ndarray:
        height, width = self._size()
        return np.zeros((height, width, 3), np.uint8)

    def one(self, wish: Wish) -> np.ndarray:
        *_, result = self.draw(replace(wish, number=1, what=self._single(wish.what)))
        picture = Image.fromarray(result)
        height, width = self._size()
        return np.asarray(picture.resize((width, height), Image.Resampling.NEAREST))

    def _single(self, what: str) -> str:
        return self.classes[0] if what == EACH and self.classes else what

    def _size(self) -> tuple[int, int]:
        height, width = self.trained.config.model.img_shape[1:]
        factor = -(-SIDE // min(height, width))
        return height * factor, width * factor

    def _picture(self, array: np.ndarray | None, advice: str) -> Tensor:
        """An array as the model sees a picture, [1, C, H, W] in [0, 1]."""
        if not self.can_edit:
            raise UserError("this model does not edit: that takes classes and the sampler ddim")
        if array is None:
            raise UserError(f"there is no picture: {advice}")
        channels, height, width = self.trained.config.model.img_shape
        picture = Image.fromarray(array).convert("L" if channels == 1 else "RGB")
        picture = picture.resize((width, height), Image.Resampling.BOX)
        return pil_to_tensor(picture)[None].float().to(self.device) / 255

    @contextmanager
    def _canvas(self, wish: Wish) -> Iterator[Canvas]:
        """A canvas whose model is guided, if asked for; others wait meanwhile."""
        sampler = self._sampler(replace(wish, sampler="ddim"))
        with self.lock, torch.no_grad(), guided(self.model, sampler.guidance):
            yield Canvas(self.trained, sampler, wish.seed)

    def _sampler(self, wish: Wish) -> Sampler:
        """The sampler of a wish, resolved; what it does not have is left out."""
        keeps_steps = wish.sampler != "own"
        flags = SamplerFlags(
            sampler=wish.sampler,
            steps=wish.steps if keeps_steps else None,
            eta=wish.eta if wish.sampler in HAVE_ETA else None,
            guidance=f"{wish.guidance:g}" if wish.guidance is not None else None,
        )
        return Sampler.from_flags(flags, self.model)

    def _labels(self, wish: Wish) -> Tensor:
        """What to draw, [N]."""
        if self.are_points:
            return torch.zeros(POINTS, dtype=torch.long)
        number = min(max(1, wish.number), MOST)
        if self.reads_text:
            (label,) = number_prompts(self.trained, [wish.what])
            return torch.full((number,), label)
        if not self.classes:
            return torch.zeros(number, dtype=torch.long)
        if wish.what == EACH:
            return torch.arange(len(self.classes))
        known, total = self.classes, self.trained.config.model.num_classes
        return torch.tensor(pick_labels(wish.what, known, total)).repeat(number)

    def _columns(self, wish: Wish, number: int) -> int:
        return min(number, 5 if wish.what == EACH else 4)


class _Shown(Film):
    """A film of all samples whose frames are shown while it is taken."""

    def __init__(self, model: torch.nn.Module, number: int, states: queue.Queue):
        super().__init__(model, number, FRAMES)
        self.states = states

    def record(self, left: int, steps: int, x: Tensor) -> None:
        before = len(self.frames)
        super().record(left, steps, x)
        if left and len(self.frames) > before:  # the last state is the result
            self.states.put(self.frames[-1])


def as_array(picture: Tensor) -> np.ndarray:
    """A picture, uint8 [3, H, W], as an array [H, W, 3]."""
    return picture.permute(1, 2, 0).cpu().numpy()


def _smaller(mask: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """A mask of another size, uint8: 255 where at least half of what a pixel covers is marked."""
    marked = Image.fromarray(np.where(mask > 0, 255, 0).astype(np.uint8))
    return np.asarray(marked.resize((size[1], size[0]), Image.Resampling.BOX))

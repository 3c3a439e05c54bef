"""What sample.py does to edit: the pictures it reads, what editing.py makes of them, a grid."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from ..ddim import sample_ddim
from ..models.build import load_model
from ..models.denoisers import denoiser_of
from ..models.trained import TrainedModel
from ..runtime.device import pick_device
from ..runtime.outputs import Outputs
from ..runtime.pictures import BadPicture, opened
from ..runtime.streams import SAMPLE_STREAM, generator_for
from ..runtime.visualize import POINT, image_grid, with_margins
from ..utils import UserError, default, slug, unused
from . import editing
from .columns import pick_labels
from .edit_flags import STRENGTH, EditRequest
from .guidance import guided
from .sampler import Sampler


def edit(request: EditRequest) -> None:
    """Edit as the flags say, and write a grid.

    Raises UserError for flags that do not fit the model, and pictures that cannot be read.
    """
    device = pick_device([request.device])
    trained = load_model(Path(request.checkpoint), device)
    if trained.config.model.context == "tokens":
        raise UserError("editing is for models of classes, this one was trained with texts")
    if tuple(trained.config.model.img_shape) == POINT and request.init_image is not None:
        raise UserError("--from: this model draws points in the plane, which no picture can start")
    flags = replace(request.sampler, sampler=default(request.sampler.sampler, "ddim"))
    sampler = Sampler.from_flags(flags, trained.model)
    if sampler.name != "ddim":
        raise UserError(f"--sampler: editing walks with ddim, not with {sampler.name}")
    sampler.check_written(trained.model)
    if request.out is None:
        name = slug(f"edited {_kind(request)} {sampler} seed {request.seed}")
        request = replace(request, out=str(unused(trained.path.parent / f"{name}.png")))
    outputs = Outputs([], 0, request.out, force=request.force)
    with torch.no_grad(), guided(trained.model, sampler.guidance):
        editor = _Editor(request, trained, sampler)
        outputs.finish(getattr(editor, _kind(request))())


def _kind(request: EditRequest) -> str:
    """The method of `_Editor` that is asked for."""
    if request.between is not None:
        return f"between_{request.between}"
    if request.anagram:
        return "anagram"
    if request.invert:
        return "invert"
    return "sdedit" if request.mask is None else "inpaint"


class Canvas:
    """A model with the chain and the noise by which it edits.

    Args:
        trained: the model.
        sampler: ddim, resolved; guidance is for who calls.
        seed: of all noise.

    Attributes:
        shape: of images, (C, H, W).
    """

    def __init__(self, trained: TrainedModel, sampler: Sampler, seed: int):
        self.model, self.sampler, self.seed = trained.model, sampler, seed
        self.chain = denoiser_of(self.model).chain(sampler.steps, sampler.spacing)
        self.device = next(self.model.parameters()).device
        self.shape, self.clip_x0 = trained.config.model.img_shape, not self.model.use_vae

    def redraw(self, picture: Tensor, labels: list[int], strength: float) -> Tensor:
        """Redraw a picture by SDEdit, once for each label.

        Args:
            picture: [1, C, H, W] in [0, 1].
            strength: above 0 to 1, see `editing.sdedit`.

        Returns:
            [N, C, H, W] in [0, 1]
        """
        label = self.as_tensor(labels)
        image = self.latents(picture).expand(len(label), -1, -1, -1)
        noise = self.noise(len(label))
        x = editing.sdedit(self.chain, self.eps(label), image, noise, strength, self.clip_x0)
        return self.decoded(x)

    def fill(self, picture: Tensor, pixels: Tensor, mask: Tensor, labels: list[int]) -> Tensor:
        """Draw a part of a picture, once for each label; the rest stays exactly as it is.

        Args:
            picture: [1, C, H, W] in [0, 1].
            pixels: 1 where to draw, [1, 1, H, W].
            mask: the same for what is diffused, pixels or latents.

        Returns:
            [N, C, H, W] in [0, 1]
        """
        label = self.as_tensor(labels)
        image = self.latents(picture).expand(len(label), -1, -1, -1)
        mask = mask.expand(len(label), -1, -1, -1)
        draw_noise = partial(self.noise_of, self.generators(len(label)))
        x = editing.inpaint(
            self.chain, self.eps(label), image, mask, draw_noise, clip_x0=self.clip_x0
        )
        return torch.where(pixels > 0.5, self.decoded(x), picture)  # what an autoencoder changed

    def eps(self, label: Tensor) -> editing.EpsModel:
        return editing.for_labels(self.chain, label)

    def as_tensor(self, labels: list[int]) -> Tensor:
        return torch.tensor(labels, device=self.device)

    def generators(self, number: int, seed: int | None = None) -> list[torch.Generator]:
        seed = default(seed, self.seed)
        return [generator_for(seed, SAMPLE_STREAM, i, device=self.device) for i in range(number)]

    def noise(self, number: int, seed: int | None = None) -> Tensor:
        """One noise for each image, [number, C, H, W], as draw_samples starts from."""
        return self.noise_of(self.generators(number, seed), torch.empty(1, *self.model.img_shape))

    def noise_of(self, generators: list[torch.Generator], like: Tensor) -> Tensor:
        """Noise of each image's own generator, of the shape [B, C, H, W] of another tensor."""
        shape, device = like.shape[1:], self.device
        return torch.stack([torch.randn(shape, generator=g, device=device) for g in generators])

    def latents(self, image: Tensor) -> Tensor:
        return self.model.vae.encoder(image) if self.model.use_vae else 2 * image - 1

    def decoded(self, x: Tensor) -> Tensor:
        return self.model.postprocess(self.model.vae.decoder(x) if self.model.use_vae else x)


class _Editor(Canvas):
    """A canvas, and what is asked; each method of a kind gives a grid, uint8 [3, H, W]."""

    def __init__(self, request: EditRequest, trained: TrainedModel, sampler: Sampler):
        super().__init__(trained, sampler, request.seed)
        self.request, self.classes = request, trained.classes
        model = trained.config.model
        self.labels, self.conditional = [0], model.conditional
        if not model.conditional and request.labels is not None:
            raise UserError("--labels: the model was trained without labels; leave the flag out")
        if model.conditional:
            self.labels = pick_labels(request.labels, self.classes, model.num_classes)
        self.titles = [self._title(label) for label in self.labels] if model.conditional else []

    def sdedit(self) -> Tensor:
        labels, strength = self.labels * self.request.num, default(self.request.strength, STRENGTH)
        pixels = self.redraw(self._image(), labels, strength)
        return self._grid(pixels, len(self.labels), self.titles)

    def inpaint(self) -> Tensor:
        masks = self._mask(self.shape[1:]), self._mask(self.model.img_shape[1:])
        pixels = self.fill(self._image(), *masks, self.labels * self.request.num)
        return self._grid(pixels, len(self.labels), self.titles)

    def invert(self) -> Tensor:
        first = self.as_tensor(self.labels[:1])
        image = self.latents(self._image())
        noise = editing.invert(self.chain, self.eps(first), image)
        label = self.as_tensor(self.labels)
        x = self._drawn(self.eps(label), noise.expand(len(label), -1, -1, -1), clips=False)
        error = (x[:1] - image).square().mean().sqrt().item()
        print(f"drawn from its noise, the picture differs from itself by {error:.2g}")
        pixels = torch.cat([self.decoded(image), self.decoded(x)])
        return self._grid(pixels, len(pixels), ["the picture", *self.titles])

    def between_seeds(self) -> Tensor:
        seeds = self.request.seed, self.request.seed + 1
        ends = [self.noise(len(self.labels), seed) for seed in seeds]
        number = max(2, self.request.num)
        noise = torch.cat([editing.between(a, b, number) for a, b in zip(*ends, strict=True)])
        label = self.as_tensor(self.labels).repeat_interleave(number)
        pixels = self.decoded(self._drawn(self.eps(label), noise))
        return self._grid(pixels, number, beside=self.titles)

    def between_classes(self) -> Tensor:
        first, last = self._pair("--between classes")
        number = max(2, self.request.num)
        share = torch.linspace(0, 1, number, device=self.device)
        ends = self.as_tensor([first] * number), self.as_tensor([last] * number)
        noise = self.noise(1).expand(number, -1, -1, -1)
        x = self._drawn(editing.blended(self.chain, *ends, share), noise)
        titles = [self._title(first), *[""] * (number - 2), self._title(last)]
        return self._grid(self.decoded(x), number, titles)

    def anagram(self) -> Tensor:
        pair, number = self._pair("--anagram"), self.request.num
        labels = (self.as_tensor([label] * number) for label in pair)
        pixels = self.decoded(self._drawn(editing.anagram(self.chain, *labels), self.noise(number)))
        both = torch.cat([pixels, editing.turned(pixels)])
        titles = [f"{self._title(pair[0])} upright", f"{self._title(pair[1])} turned"]
        return self._grid(both, number, beside=titles)

    def _drawn(self, eps_model: editing.EpsModel, noise: Tensor, clips: bool = True) -> Tensor:
        """What DDIM draws from noise [B, C, H, W], with the noise of --eta on the way."""
        # Not the generators of the noise to start from
        generators = self.generators(len(noise), self.request.seed + 1)
        return sample_ddim(
            eps_model,
            noise,
            self.chain.alphas_cumprod,
            self.chain.times,
            eta=self.sampler.eta,
            clip_x0=clips and self.clip_x0,
            draw_noise=partial(self.noise_of, generators),
        )

    def _pair(self, flag: str) -> list[int]:
        if not self.conditional:
            raise UserError(f"{flag}: it needs two classes, and the model knows none")
        if len(self.labels) != 2:
            raise UserError(f"{flag}: it needs two classes: name them, as in --labels 6,9")
        return self.labels

    def _title(self, label: int) -> str:
        return self.classes[label] if label < len(self.classes) else str(label)

    def _image(self) -> Tensor:
        """The picture to start from, [1, C, H, W] in [0, 1]."""
        mode = "L" if self.shape[0] == 1 else "RGB"
        return _read("--from", self.request.init_image, mode, self.shape[1:]).to(self.device)

    def _mask(self, size: list[int]) -> Tensor:
        """1 where to draw, [1, 1, H, W]."""
        return _read("--mask", self.request.mask, "L", size, Image.Resampling.NEAREST).to(
            self.device
        )

    def _grid(
        self, images: Tensor, columns: int, above: Sequence[str] = (), beside: Sequence[str] = ()
    ) -> Tensor:
        return with_margins(image_grid(images.cpu(), columns), above, beside)


def _read(
    flag: str,
    name: str,
    mode: str,
    size: list[int],
    resampling: Image.Resampling = Image.Resampling.BICUBIC,
) -> Tensor:
    """A picture as [1, C, H, W] in [0, 1], brought to (H, W) = size; UserError if it is none."""
    try:
        with opened(Path(name)) as file:
            picture = file.convert(mode)
    except BadPicture as problem:
        raise UserError(f"{flag}: {name}: {problem}") from None
    height, width = size
    if picture.size != (width, height):
        picture = picture.resize((width, height), resampling)
    return pil_to_tensor(picture)[None].float() / 255

"""A trained model as files for others: averaged weights, the config, and a model card."""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..config import Config, dump_config
from ..runtime import documents
from ..runtime.cli import check_folder, refuse_existing
from ..utils import UserError, replacing, save_text
from .trained import TrainedModel

WITH_PACKAGE, WITHOUT = "model.safetensors", "model.pth"
# What the data sets' owners say; a model of them is no less bound than they are.
LICENCES = {
    "Digits": "CC BY 4.0 (E. Alpaydin and C. Kaynak, UCI)",
    "AFHQ": "CC BY-NC 4.0 (NAVER Corporation): for research alone",
    "FashionMNIST": "MIT (Zalando SE)",
    "Checkerboard": "none needed: the points are made by this project",
    "Spiral": "none needed: the points are made by this project",
    "Moons": "none needed: the points are made by this project",
    "Gaussians": "none needed: the points are made by this project",
}
UNKNOWN = "not known here: see where the data came from before you pass the model on"
CARD = """# {name}

A {kind} of {parameters:.2f}M parameters, trained for {step:,} steps on {data} of
{shape} with the `train.py` of this repository. Weights are averaged over training.

| file | what it is |
| --- | --- |
| `{weights}` | the weights |
| `config.yaml` | all settings of the run |

## Load it

In the folder of the code:

```python
from pathlib import Path

from libs import config
from libs.models.build import build_model
from libs.weights import load_strictly, read_file

folder = Path("{folder}")
model = build_model(config.load_config(str(folder / "config.yaml")), pretrained=False)
load_strictly(model, read_file(folder / "{weights}"), folder / "{weights}")
model.eval()
```

Images go in and come out as the `model` section of the config says; classes are {classes}.

## Scores

{scores}

## Licence

- The data: {licence}.
- The code: MIT. The weights: what the data's licence allows.

## Limits

It draws what the data show, at {height}x{width} pixels, and repeats their gaps. Whether it copies
training images is measured by `evaluate.py --metrics memorization`.
"""


def export(
    trained: TrainedModel, folder: Path, scores: Path | None = None, force: bool = False
) -> list[Path]:
    """Write weights, config.yaml and README.md into a folder; returns the files.

    Args:
        trained: the model.
        folder: is made where it is missing.
        scores: a file that `evaluate.py --json` wrote.
        force: files that exist may be overwritten.

    Raises:
        UserError: something cannot be written or exists already, or the scores cannot be read.
    """
    listed = _scores(scores)  # before anything is written
    weights = WITH_PACKAGE if importlib.util.find_spec("safetensors") else WITHOUT
    files = [folder / name for name in (weights, "config.yaml", "README.md")]
    check_folder("--out", folder)
    refuse_existing("--out", files, force)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_weights(trained.model, folder / weights)
    except OSError as error:
        raise UserError(f"--out: cannot write to {folder} ({error.strerror})") from None
    save_text(dump_config(trained.config, folder).removesuffix("\n"), folder / "config.yaml")
    card = CARD.format(**_facts(trained, folder, weights), scores=listed)
    save_text(card.removesuffix("\n"), folder / "README.md")
    return files


def _write_weights(model: nn.Module, file: Path) -> None:
    """Write a model's weights as named tensors."""
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    with replacing(file) as partial:
        if file.name == WITH_PACKAGE:
            from safetensors.torch import save_file  # optional

            save_file(state, partial)
        else:
            torch.save(state, partial)


def _facts(trained: TrainedModel, folder: Path, weights: str) -> dict[str, Any]:
    config: Config = trained.config
    channels, height, width = config.model.img_shape
    classes = trained.classes if config.model.conditional else []
    return {
        "name": trained.path.parent.name,
        "kind": f"latent {config.model_name}" if config.model.use_vae else config.model_name,
        "parameters": sum(p.numel() for p in trained.model.parameters()) / 1e6,
        "step": trained.step,
        "data": config.dataset.name,
        "shape": f"{channels}x{height}x{width}",
        "weights": weights,
        "folder": folder.as_posix(),
        "classes": ", ".join(classes) if classes else "not looked at",
        "licence": LICENCES.get(config.dataset.name, UNKNOWN),
        "height": height,
        "width": width,
    }


def _scores(file: Path | None) -> str:
    """The scores of evaluate.py as a table in Markdown."""
    if file is None:
        return "None were given: `evaluate.py --json FILE`, then `export.py --scores FILE`."
    found = documents.read_json(file, f"--scores {file}")
    try:
        rows = [
            f"| {name} | {score['samples']:.4g} | "
            + (f"{score['real']:.4g} |" if score["real"] is not None else "- |")
            for name, score in found["scores"].items()
        ]
        source = f"{found['samples']} samples of `{Path(found['checkpoint']).name}`"
        source += f"; sampler: {found['sampler']}"
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"--scores: {file} is not what evaluate.py --json writes") from None
    held_out = f"real {found.get('held_out', '')} images"
    return "\n".join([f"| | samples | {held_out} |", "| --- | ---: | ---: |", *rows, "", source])

"""Draws with a team's weights, by the kit's network and sampler, in the sandbox."""

import sys
from pathlib import Path
from typing import Any

import torch
from autograder.sandbox.wire import Channel
from autograder.worker import machine

MAX_TENSORS = 5000


class RefusedWeights(Exception):
    """Why weights do not take part, one sentence."""


def serve(channel: Channel, folder: str) -> None:
    """Receive what `drawn` takes, and send what it returns, or {"refused": why}."""
    sys.path.insert(0, folder)
    machine.spare()
    request = channel.receive()
    try:
        answer = drawn(Path(folder), **request)
    except RefusedWeights as refusal:
        answer = {"refused": str(refusal)[:300]}
    except MemoryError:
        answer = {"refused": "it needs more memory than there is"}
    except Exception as error:
        text = str(error) if type(error).__name__ == "UserError" else type(error).__name__
        answer = {"refused": text.replace(folder, "")[:300]}
    channel.send(answer)


def drawn(
    folder: Path,
    file: str,
    config: dict[str, Any],
    labels: Any,
    sampler: str,
    steps: int,
    seed: int,
    parameters: int,
) -> dict[str, Any]:
    """Images for labels, and what they took.

    Args:
        folder: holds the kit's libs and the file.
        config: of the contest's network.
        steps: of the sampler.
        parameters: that the network may have.

    Returns:
        images, uint8 [N, C, H, W]; evaluations of the network for each image; its parameters.

    Raises:
        RefusedWeights: the file holds something else than this network's weights.
    """
    from libs.config import from_dict
    from libs.models.build import build_model
    from libs.runtime.device import Precision
    from libs.samplers.draw import draw_samples
    from libs.samplers.sampler import Sampler
    from libs.weights import load_strictly, read_file

    settings = from_dict(config, folder, source="the contest's config")
    model = build_model(settings, pretrained=False)
    weights = checked(read_file(folder / file))
    load_strictly(model, weights, Path(file))
    number = sum(p.numel() for p in model.model.parameters())
    if number > parameters:
        raise RefusedWeights(f"the network has {number} parameters, more than {parameters}")
    asked = 0

    def count(_: Any, inputs: tuple[Any, ...]) -> None:
        nonlocal asked
        asked += len(inputs[0])

    model.model.register_forward_pre_hook(count)
    chosen = torch.from_numpy(labels.copy())
    precision = Precision("fp32", torch.device("cpu"))
    way = Sampler(sampler, steps)
    batches = draw_samples(
        model.eval(), chosen, precision, seed, batch_size=100, show_progress=False, sampler=way
    )
    images = torch.cat(list(batches))
    if not images.isfinite().all():
        raise RefusedWeights("what it draws is not finite")
    pixels = (255 * images.clamp(0, 1)).round().byte()
    return {"images": pixels.numpy(), "evaluations": asked / len(chosen), "parameters": number}


def checked(found: Any) -> dict[str, torch.Tensor]:
    """Named tensors of finite numbers; of one of the kit's checkpoints the averaged weights."""
    if isinstance(found, dict) and isinstance(found.get("model"), dict):
        average = found.get("ema")
        average = average.get("average") if isinstance(average, dict) else None
        found = found["model"] | (average if isinstance(average, dict) else {})
    if not isinstance(found, dict) or len(found) > MAX_TENSORS:
        raise RefusedWeights("it holds no named tensors, or too many")
    for name, tensor in found.items():
        if not isinstance(name, str) or type(tensor) not in (torch.Tensor, torch.nn.Parameter):
            raise RefusedWeights("it holds something else than named tensors")
        if tensor.layout is not torch.strided or tensor.device.type != "cpu":
            raise RefusedWeights(f"'{name[:60]}' is no ordinary tensor")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise RefusedWeights(f"'{name[:60]}' has numbers that are not finite")
        if not tensor.is_floating_point() and tensor.dtype is not torch.int64:
            raise RefusedWeights(f"'{name[:60]}' has the type {tensor.dtype}")
    return found

"""Draw with a team's weights in the sandbox, and score the images outside of it."""

import math
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from autograder.reading.work_folder import work_folder
from autograder.sandbox.limits import Limits
from autograder.sandbox.sandbox import Sandbox
from autograder.sandbox.wire import BadMessage, Channel, Closed, Slow
from autograder.text import one_line

from instructor.contests.rules import Rules
from libs.datasets import load_dataset
from libs.metrics.evidence import all_images
from libs.metrics.lenet import LeNet, fit_lenet
from libs.metrics.scoring import frechet_of_features
from libs.metrics.verdict import judge

WORKER = "instructor.contests.worker:serve"
MAX_BYTES = 64_000_000  # of a file of weights
SECONDS = 600.0  # for drawing


@dataclass
class Entry:
    """A team's result; `refused` says why there is none."""

    team: str
    refused: str = ""
    fid: float = math.inf
    accuracy: float = 0.0
    evaluations: float = 0.0
    alias: str = ""


class Judge:
    """Scores images by what real ones look like."""

    def __init__(self, rules: Rules) -> None:
        config = rules.config
        shape = config.model.img_shape
        train = load_dataset(config.dataset, "train", shape)
        test = load_dataset(config.dataset, "test", shape)
        self.rules = rules
        self.net: LeNet = fit_lenet(train, shape, torch.device("cpu"))
        self.train, _ = all_images(train)
        self.held_out, _ = all_images(test)
        self.features = self.seen(self.held_out)[0]
        self.labels = torch.arange(rules.samples) % len(train.classes)

    @torch.no_grad()
    def seen(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and logits of images, uint8 [N, C, H, W]."""
        return self.net.features_and_logits(images.float() / 255)

    def score(self, entry: Entry, images: np.ndarray) -> None:
        """Fill in an entry; stored training images are refused."""
        drawn = torch.from_numpy(images.copy())
        features, logits = self.seen(drawn)
        entry.fid = frechet_of_features(features, self.features)
        entry.accuracy = (logits.argmax(dim=1) == self.labels).double().mean().item()
        verdict = judge(*(x.float() / 255 for x in (drawn, self.train, self.held_out)))
        if verdict.memorized:
            entry.refused = f"it draws training images: {verdict}"


def take_part(file: Path, judge_: Judge, sandbox: Sandbox, libs: Path) -> Entry:
    """Draw with one file of weights, and score; whatever it holds, this returns an entry."""
    entry = Entry(file.stem)
    rules = judge_.rules
    if file.is_symlink() or not file.is_file():
        entry.refused = "it is no ordinary file"
    elif file.stat().st_size > MAX_BYTES:
        entry.refused = f"it is larger than {MAX_BYTES // 1_000_000} MB"
    if entry.refused:
        return entry
    with work_folder() as work:
        shutil.copytree(libs, work / "libs", ignore=shutil.ignore_patterns("__pycache__"))
        name = f"weights{file.suffix.lower()}"
        shutil.copyfile(file, work / name)
        request = {
            "file": name,
            "config": rules.values,
            "labels": judge_.labels.numpy(),
            "sampler": rules.sampler,
            "steps": rules.steps,
            "seed": 0,
            "parameters": rules.parameters,
        }
        said = asked(sandbox, work, request)
    images, evaluations = said.get("images"), said.get("evaluations")
    shape = (rules.samples, *rules.config.model.img_shape)
    if "refused" in said:
        entry.refused = one_line(str(said["refused"]))[:300]
    elif not isinstance(images, np.ndarray) or images.shape != shape or images.dtype != np.uint8:
        entry.refused = "it drew no images of the right shape"
    elif not isinstance(evaluations, float) or not 0 < evaluations <= rules.evaluations:
        entry.refused = f"it asks the network {evaluations} times an image"
    else:
        entry.evaluations = evaluations
        judge_.score(entry, images)
    return entry


def asked(sandbox: Sandbox, work: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The answer of a worker, or {"refused": why} where there is none."""
    limits = Limits(seconds=SECONDS, cpu_seconds=int(SECONDS))
    with tempfile.TemporaryFile() as log:
        worker = sandbox.worker(work, log.fileno(), limits)
        channel: Channel = worker.channel
        deadline = time.monotonic() + SECONDS
        try:
            channel.send(request, deadline)
            return channel.receive(deadline)
        except Slow:
            return {"refused": f"it was not drawn within {SECONDS:.0f} s"}
        except (BadMessage, Closed):
            return {"refused": f"drawing ended: {worker.end(2.0)}"}
        finally:
            worker.kill()

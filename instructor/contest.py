"""A contest of trained weights: python instructor/contest.py FOLDER [--contest FILE] [--out DIR]

FOLDER holds a file of weights for each team, TEAM.safetensors or TEAM.pth. The kit draws with them
in the sandbox, the scores are computed here, and DIR/public gets an anonymous leaderboard.
"""

import argparse
import csv
import hashlib
import math
import secrets
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "instructor"), str(ROOT / "code")]

from autograder.text import InputError, not_installed, one_line, visible, write_text

try:
    import numpy as np
    import torch
    from autograder.documents import read_yaml
    from autograder.output.pages import render
    from autograder.sandbox.limits import Limits, SandboxError
    from autograder.sandbox.sandbox import Sandbox
    from autograder.sandbox.wire import BadMessage, Channel, Closed, Slow

    from libs.config import Config, from_dict
    from libs.datasets import load_dataset
    from libs.metrics.evidence import all_images
    from libs.metrics.lenet import LeNet, fit_lenet
    from libs.metrics.scoring import frechet_of_features
    from libs.metrics.verdict import judge
except ImportError as error:
    print(f"error: {not_installed(error)}", file=sys.stderr)
    sys.exit(2)

DEFAULT = Path(__file__).with_name("contest.yaml")
TEMPLATE = Path(__file__).with_name("contest.html")
SUFFIXES = (".safetensors", ".pth")
MAX_BYTES = 64_000_000  # of a file of weights
SECONDS = 600.0  # for drawing
TOP, NEIGHBOURS = 3, 1  # on a team's own page
METRICS = {"fid": 1, "accuracy": -1}  # and whether less or more is better
KEYS = {"title", "config", "parameters", "evaluations", "sampler", "steps", "samples", "metric"}


@dataclass(frozen=True)
class Rules:
    """What contest.yaml says.

    Attributes:
        config: the network and the data that all teams have.
        parameters, evaluations: what the network may have, and how often it may be asked an image.
        sampler, steps: how images are drawn, as `sample.py --sampler --steps` does.
        samples: how many.
        metric: "fid" of LeNet's features, or "accuracy".
    """

    title: str
    config: Config
    values: dict[str, Any]  # of the config, as a worker takes them
    parameters: int
    evaluations: int
    sampler: str
    steps: int
    samples: int
    metric: str


@dataclass
class Entry:
    """A team's result; `refused` says why there is none."""

    team: str
    refused: str = ""
    fid: float = math.inf
    accuracy: float = 0.0
    evaluations: float = 0.0
    alias: str = ""


def read_rules(file: Path) -> Rules:
    """Read contest.yaml; raises InputError where it has mistakes."""
    found = read_yaml(file)
    if not isinstance(found, dict) or set(found) != KEYS:
        raise InputError(f"{file} must have the keys {', '.join(sorted(KEYS))}")
    for key in ("parameters", "evaluations", "steps", "samples"):
        if type(found[key]) is not int or found[key] < 1:
            raise InputError(f"{file}: {key} must be a whole number above 0")
    if found["metric"] not in METRICS:
        raise InputError(f"{file}: metric must be one of {', '.join(METRICS)}")
    if found["samples"] < 100:
        raise InputError(f"{file}: samples must be at least 100")
    path = file.parent / str(found["config"])
    if not path.is_file():
        raise InputError(f"{file}: config: there is no file {path}")
    values = read_yaml(path)
    return Rules(
        **{**found, "config": from_dict(values, path.parent, source=str(path)), "values": values}
    )


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
    with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        work.chmod(0o755)
        shutil.copytree(libs, work / "libs", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(file, work / f"weights{file.suffix}")
        request = {
            "file": f"weights{file.suffix}",
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


def ranked(entries: list[Entry], metric: str) -> list[Entry]:
    """Those that take part, the best first; equal ones by name."""
    sign = METRICS[metric]
    own = [entry for entry in entries if not entry.refused]
    return sorted(own, key=lambda entry: (sign * getattr(entry, metric), entry.team))


def write(entries: list[Entry], rules: Rules, out: Path) -> None:
    """Write public/leaderboard.html, a page a team in public/places, and results.csv with names."""
    public = out / "public"
    (public / "places").mkdir(parents=True, exist_ok=True)
    secret = out / "secret.txt"  # so that aliases stay the same, and nobody can compute them
    if not secret.exists():
        write_text(secret, secrets.token_hex(16) + "\n")
    salt = secret.read_text(encoding="utf-8")
    for entry in entries:
        entry.alias = hashlib.sha256((salt + entry.team).encode(errors="replace")).hexdigest()[:12]
    order = ranked(entries, rules.metric)
    numbered = list(enumerate(order, 1))
    values = {"title": rules.title, "metric": rules.metric, "total": len(order)}
    top = render(TEMPLATE, rows=numbered[:10], own=None, refused="", **values)
    write_text(public / "leaderboard.html", top)
    places = {entry.alias: place for place, entry in numbered}
    for entry in entries:
        place = places.get(entry.alias, 0)
        near = [
            (n, one) for n, one in numbered if n <= TOP or (place and abs(n - place) <= NEIGHBOURS)
        ]
        page = render(TEMPLATE, rows=near, own=entry, refused=entry.refused, **values)
        write_text(public / "places" / f"{entry.alias}.html", page)
    with (out / "results.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["place", "team", "alias", "fid", "accuracy", "evaluations", "refused"])
        for entry in [*order, *(entry for entry in entries if entry.refused)]:
            scores = [f"{entry.fid:.3f}", f"{entry.accuracy:.4f}", f"{entry.evaluations:g}"]
            scores = [""] * 3 if entry.refused else scores
            team = f"'{entry.team}" if entry.team[:1] in "=+-@" else entry.team
            writer.writerow([places.get(entry.alias, ""), visible(team), entry.alias, *scores,
                             entry.refused])  # fmt: skip


def files_in(folder: Path) -> list[Path]:
    """The files of weights in a folder, by name; raises InputError where there is none."""
    found = sorted(p for p in folder.glob("*") if p.suffix in SUFFIXES) if folder.is_dir() else []
    if not found:
        raise InputError(f"{folder} holds no TEAM.safetensors and no TEAM.pth")
    if len({path.stem for path in found}) < len(found):
        raise InputError(f"{folder}: a team has two files of weights; leave one of them")
    return found


def main() -> int:
    """Draw, score, write; returns the exit code."""
    parser = argparse.ArgumentParser(description="A contest of trained weights.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a file of weights a team")
    parser.add_argument("--contest", type=Path, default=DEFAULT, metavar="FILE", help="its rules")
    parser.add_argument("--out", type=Path, default=Path("contest"), metavar="DIR")
    parser.add_argument("--trust", action="store_true", help="see grade.py --trust")
    args = parser.parse_args()
    try:
        rules, files = read_rules(args.contest), files_in(args.folder)
        helpers = (str(ROOT / "instructor"),)
        with Sandbox("contest_worker:serve", trusted=args.trust, _helpers=helpers) as sandbox:
            judge_ = Judge(rules)
            entries = [take_part(f, judge_, sandbox, ROOT / "code" / "libs") for f in files]
        write(entries, rules, args.out)
    except (InputError, SandboxError, OSError) as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        return 2
    for place, entry in enumerate(ranked(entries, rules.metric), 1):
        print(f"{place}. {visible(entry.team)}: FID {entry.fid:.2f}, accuracy {entry.accuracy:.3f}")
    for entry in entries:
        if entry.refused:
            print(f"refused: {visible(entry.team)}: {visible(entry.refused)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

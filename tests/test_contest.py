"""The contest: what weights may be, what they gain, and that the leaderboard names nobody."""

import csv
import io
import json
import os
import pickle
import re
import struct
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from autograder.sandbox.sandbox import Sandbox
from autograder.text import InputError
from instructor.contests.judge import WORKER, Entry, Judge, take_part
from instructor.contests.leaderboard import write
from instructor.contests.rules import DEFAULT, Rules, read_rules
from instructor.contests.worker import RefusedWeights, checked

from helpers.files import ROOT
from helpers.scripts import assert_refused, call_program, run_script
from libs.config import from_dict
from libs.models.build import build_model


class Runs:
    """A pickle that runs a program where it is loaded."""

    def __reduce__(self):
        return os.system, ("touch /tmp/contest-was-here",)


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Those of the contest's network, untrained."""
    rules = read_rules(DEFAULT)
    torch.manual_seed(0)
    return build_model(rules.config, pretrained=False).state_dict()


def test_only_named_finite_ordinary_tensors_are_weights(weights):
    """Weights of a kit's checkpoint are its averaged ones; anything but plain finite tensors is
    refused."""
    assert checked(weights) is weights
    name, first = next(iter(weights.items()))
    average = {name: first + 1}
    kit = {"model": weights, "ema": {"average": average}, "step": 3}
    assert torch.equal(checked(kit)[name], first + 1)
    hostile = [
        [first],
        {"x": "words"},
        {1: first},
        {name: first.to_sparse()},
        {name: torch.full_like(first, float("nan"))},
        {name: torch.full_like(first, float("inf"))},
        {name: first.to(torch.int8)},
        {name: torch.empty(3, device="meta")},
        {str(i): first for i in range(5001)},
    ]
    for found in hostile:
        with pytest.raises(RefusedWeights):
            checked(found)


def test_the_leaderboard_names_nobody(tmp_path):
    """Aliases stay the same, the best is first, and each team sees its own place and neighbours."""
    rules = read_rules(DEFAULT)
    entries = [Entry(f"Team Secret {n}", fid=float(n), accuracy=0.5) for n in range(30)]
    entries.append(Entry("Team Broken", refused="it has <b>NaN</b>"))
    write(entries, rules, tmp_path)
    aliases = [entry.alias for entry in entries]
    write(entries[::-1], rules, tmp_path)
    assert aliases == [entry.alias for entry in entries]
    pages = [p.read_text(encoding="utf-8") for p in (tmp_path / "public").rglob("*.html")]
    assert len(pages) == 32
    assert not any("Secret" in page or "Team" in page for page in pages)
    assert not any("<script" in page or "http" in page for page in pages)
    own = (tmp_path / "public/places" / f"{entries[17].alias}.html").read_text(encoding="utf-8")
    shown = re.findall(r"<tr[^>]*><td>(\d+)</td>", own)
    assert shown == ["1", "2", "3", "17", "18", "19"]
    broken = (tmp_path / "public/places" / f"{entries[30].alias}.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;NaN" in broken
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["place"] for row in rows] == [*map(str, range(1, 31)), ""]
    write(entries[:2], rules, tmp_path)
    left = {path.stem for path in (tmp_path / "public/places").iterdir()}
    assert left == set(aliases[:2]), "who takes part no more has no page"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"samples": 3}, "samples must be at least 100"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"steps": 2.5}, "steps: must be a whole number"),
        ({"sampler": "dimm"}, "there is no sampler 'dimm' .did you mean 'ddim'"),
        ({"metric": "beauty"}, "there is no metric 'beauty'; choose fid, accuracy"),
        ({"config": "no.yaml"}, "there is no file"),
        ({"more": 1}, "more: unknown key"),
    ],
)
def test_mistakes_in_the_rules_are_sentences(change, words, tmp_path):
    """Each mistake in the rules of a contest is a sentence."""
    values = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    values["config"] = str(ROOT / "configs/digits.yaml")
    file = tmp_path / "contest.yaml"
    file.write_text(yaml.safe_dump({**values, **change}), encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_rules(file)


def test_a_folder_without_weights_is_refused(tmp_path):
    """A folder without weights is refused, with the names that are expected."""
    done = call_program("instructor/contest.py", tmp_path, "--out", tmp_path / "out")
    assert_refused(done, "holds no TEAM.safetensors")


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_drawn(tmp_path):
    """No contest of hours ends without its leaderboard."""
    (tmp_path / "ada.pth").write_bytes(b"")
    done = call_program("instructor/contest.py", tmp_path, "--out", tmp_path / "ada.pth" / "out")
    assert_refused(done, "--out: ", "name another folder")


def hostile_files(folder: Path, weights: dict[str, torch.Tensor]) -> dict[str, Path]:
    """Files of weights that must gain nothing, by what is wrong with them."""
    name, first = next(iter(weights.items()))
    train = torch.rand(1000, 1, 8, 8)  # as pictures would be hidden
    changed = {
        "extra_tensor": {**weights, "hidden": train},
        "hidden_images_as_buffers": {**weights, "model.images": train},
        "tensor_missing": {k: v for k, v in weights.items() if k != name},
        "another_shape": {**weights, name: first[:1]},
        "nan": {**weights, name: torch.full_like(first, float("nan"))},
        "infinite": {**weights, name: torch.full_like(first, float("inf"))},
        "overflows": {k: v * 1e30 if v.is_floating_point() else v for k, v in weights.items()},
        "integers": {**weights, name: first.to(torch.int32)},
        "complex": {**weights, name: first.to(torch.complex64)},
        "sparse": {**weights, name: first.to_sparse()},
        "list": list(weights.values()),
        "words": "all points, please",
        "other_config": {"model": {}, "ema": {"average": {}}, "config": {"steps": 10**9}},
        "huge_view": {**weights, name: torch.zeros(1).expand(10**10)},
        "runs_code": {**weights, "x": Runs()},
    }
    found = {}
    for what, value in changed.items():
        found[what] = folder / f"{what}.pth"
        torch.save(value, found[what])
    raw = {
        "plain_pickle.pth": pickle.dumps(Runs()),
        "empty.pth": b"",
        "noise.pth": os.urandom(3000),
        "truncated.pth": (folder / "extra_tensor.pth").read_bytes()[:5000],
        "bomb.pth": bomb(),
        "long_header.safetensors": struct.pack("<Q", 2**60) + b"{}",
        "overlapping.safetensors": safetensors({"a": [0, 8], "b": [4, 12]}, 12),
        "beyond.safetensors": safetensors({"a": [0, 10**12]}, 8),
    }
    for file, content in raw.items():
        found[Path(file).stem] = folder / file
        found[Path(file).stem].write_bytes(content)
    return found


def bomb() -> bytes:
    """A zip like torch's that unpacks to 4 GB of zeros."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        with archive.open("archive/data/0", "w", force_zip64=True) as file:
            for _ in range(400):
                file.write(bytes(10_000_000))
    return out.getvalue()


def safetensors(offsets: dict[str, list[int]], size: int) -> bytes:
    header = {
        name: {"dtype": "F32", "shape": [(end - begin) // 4], "data_offsets": [begin, end]}
        for name, (begin, end) in offsets.items()
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


@pytest.mark.slow
def test_hostile_weights_gain_nothing_and_honest_ones_are_scored(tmp_path, weights):
    """Twenty ways to cheat end with a reason; two files of honest weights get a place."""
    folder, out = tmp_path / "weights", tmp_path / "out"
    folder.mkdir()
    hostile = hostile_files(folder, weights)
    assert len(hostile) >= 20
    torch.save(weights, folder / "honest.pth")
    checkpoint = {"model": weights, "ema": {"average": {}}, "step": 1}
    torch.save(checkpoint, folder / "honest_checkpoint.pth")
    rules = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    rules |= {"config": str(ROOT / "configs/digits.yaml"), "samples": 100}
    (tmp_path / "contest.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    args = (folder, "--contest", tmp_path / "contest.yaml", "--out", out)
    done = run_script("instructor/contest.py", *args)
    assert done.returncode == 0, done.stderr
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["team"]: row for row in csv.DictReader(file)}
    assert {team for team, row in rows.items() if row["place"]} == {"honest", "honest_checkpoint"}
    assert {team for team, row in rows.items() if row["refused"]} == set(hostile)
    assert rows["honest"]["fid"] == rows["honest_checkpoint"]["fid"]
    assert float(rows["honest"]["evaluations"]) == 20
    assert not Path("/tmp/contest-was-here").exists()


@pytest.mark.slow
def test_stored_training_images_are_refused_and_real_ones_are_not():
    """A network that only repeats what it was trained on has no place, however good its FID."""
    judge = Judge(read_rules(DEFAULT))
    copied, real = Entry("copied"), Entry("real")
    judge.labels = torch.arange(200)
    judge.score(copied, judge.train[:200].numpy())
    judge.score(real, judge.held_out[:200].numpy())
    assert copied.refused.startswith("it draws training images")
    assert not real.refused


@pytest.mark.slow
def test_a_config_that_asks_the_network_more_often_is_refused(tmp_path, weights):
    """Evaluations are counted where the network is called, not believed."""
    values = yaml.safe_load((ROOT / "configs/digits.yaml").read_text(encoding="utf-8"))
    (tmp_path / "libs").mkdir()
    config = from_dict(values, tmp_path, source="x")
    rules = Rules("x", config, values, 500_000, 19, "ddim", 20, 100, "fid")

    class Fixed:
        labels = torch.arange(100) % 10

        def __init__(self):
            self.rules = rules

    torch.save(weights, tmp_path / "w.pth")
    with Sandbox(WORKER, trusted=True) as sandbox:
        entry = take_part(tmp_path / "w.pth", Fixed(), sandbox, ROOT / "code/libs")
    assert entry.refused == "it asks the network 20.0 times an image"

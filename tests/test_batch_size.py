"""How many images are drawn at once: what fits, which changes no image; and none is kept."""

import json
import weakref
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.models import make_model
from helpers.scripts import call_script
from libs.ddpm import DDPM
from libs.edm import EDM
from libs.metrics import evaluation
from libs.models.variants import VariantUNet
from libs.runtime import memory
from libs.runtime.device import Precision
from libs.runtime.memory import free_memory
from libs.samplers import draw as drawing
from libs.samplers.draw import draw_samples, fitting_batch_size, memory_of_image
from libs.samplers.sampler import Sampler

FP32 = Precision("fp32", torch.device("cpu"))
SMALL = {"dim": 8, "context_dim": 8, "num_classes": 2, "dim_mults": (1, 2), "attn_levels": (1,)}
DDIM = Sampler("ddim", 2)


@pytest.fixture
def have(monkeypatch):
    """Sets the memory that seems to be free."""
    return lambda free: monkeypatch.setattr(drawing, "free_memory", lambda device: free)


def latent_model(kind=DDPM):
    network = partial(VariantUNet, null_class=True)
    return kind((3, 32, 32), **SMALL, use_vae=True, network=network).eval()


@pytest.mark.parametrize(
    ("images", "size"), [(1000, 100), (100, 100), (99, 50), (49, 25), (24, 12), (1.5, 1), (0.1, 1)]
)
def test_size_follows_from_the_memory(have, images, size):
    """The largest size is halved until the share of memory that may be used is enough."""
    model = latent_model()
    each = memory_of_image(model, DDIM, FP32)
    have(images * each / drawing.SHARE + 1)
    assert fitting_batch_size(model, DDIM, FP32, of_own=250) == size


def test_own_loop_keeps_its_size(have):
    """Images of the model's own loop follow from their batch: memory has no say there."""
    have(1)
    assert fitting_batch_size(latent_model(), Sampler(), FP32, of_own=250) == 250
    assert fitting_batch_size(latent_model(EDM), Sampler(), FP32, of_own=250) == 1  # it is heun


def test_unknown_memory(have):
    """Where the system does not tell its memory, as many are drawn as if there were enough."""
    have(None)
    assert fitting_batch_size(latent_model(), DDIM, FP32, of_own=250) == 100


def test_free_memory_of_linux(tmp_path, monkeypatch):
    """Free is what Linux calls available, in bytes; other systems do not tell."""
    file = tmp_path / "meminfo"
    file.write_text("MemTotal:       16000 kB\nMemFree:   10 kB\nMemAvailable:    1234 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", file)
    assert free_memory(torch.device("cpu")) == 1234 * 1024
    file.write_text("MemTotal:       16000 kB\n")  # before Linux 3.14
    assert free_memory(torch.device("cpu")) is None
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    assert free_memory(torch.device("cpu")) is None


@pytest.mark.parametrize(
    ("kind", "sampler"),
    [
        (DDPM, Sampler("ddim", 2)),
        (DDPM, Sampler("dpm++", 4, guidance=2.0)),
        (EDM, Sampler("heun", 3).resolved(EDM((1, 8, 8), **SMALL))),
    ],
    ids=["ddim", "guided dpm++", "heun"],
)
@pytest.mark.filterwarnings("ignore:Warning. Profiler clears events")
def test_drawing_takes_no_more_than_the_bound(tmp_path, kind, sampler):
    """By torch's own record of its memory, images take less than the bound, but a fair part."""
    model = latent_model(kind)
    bound = memory_of_image(model, sampler, FP32)
    labels = torch.zeros(8, dtype=torch.long)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        list(draw_samples(model, labels, FP32, sampler=sampler))
    profile.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    records = [e for e in events if e["name"] == "[memory]"]
    held = [e["args"]["Total Allocated"] for e in sorted(records, key=lambda e: e["ts"])]
    peak = max(held) - held[0]
    assert bound * 8 / 20 < peak < bound * 8


def test_bound_counts_guidance_and_leaves_no_hook():
    """Guidance runs the network on twice the images; what counts their layers goes away."""
    model = make_model(img_shape=(1, 8, 8), **SMALL, label_dropout=0.1).eval()  # no decoder
    plain, guided = (
        memory_of_image(model, Sampler("ddim", 2, guidance=g), FP32) for g in (None, 3)
    )
    assert guided == pytest.approx(2 * plain, rel=0.1)
    assert not torch.nn.modules.module._global_forward_hooks


def test_models_that_read_texts(have):
    """What is drawn to measure is prompt number 0, which every table of prompts has."""
    model = make_model(img_shape=(1, 8, 8), **SMALL, context="tokens").eval()
    model.model.label_embd.set_prompts(torch.zeros(1, 3, 8))
    have(2**40)
    assert fitting_batch_size(model, DDIM, FP32, of_own=250) == 100


# The scripts


@pytest.fixture
def sizes(monkeypatch):
    """The batch sizes in which samples are drawn."""
    seen, draw = [], drawing.draw_samples

    def spy(model, labels, precision, seed=0, batch_size=100, *args, **options):
        if options.get("show_progress", True):  # not while memory is measured
            seen.append(batch_size)
        return draw(model, labels, precision, seed, batch_size, *args, **options)

    monkeypatch.setattr(drawing, "draw_samples", spy)
    return seen


def test_sample_draws_the_same_with_little_memory(run_folder, tmp_path, have, sizes):
    """sample.py draws as many at once as fit, which changes no picture; its own loop draws 100."""
    pictures = []
    for name, free in (("much", 2**40), ("little", 1)):
        have(free)
        args = ["--labels", "1,2", "--num", "3", "--out", tmp_path / f"{name}.png"]
        flags = ["--sampler", "ddim", "--steps", "4", "--device", "cpu"]
        process = call_script("code/sample.py", run_folder, *args, *flags)
        assert process.returncode == 0, process.stderr
        pictures.append(np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int))
        for more in (["--device", "cpu"], [*flags, "--batch-size", "5"]):
            call_script("code/sample.py", run_folder, *args, "--force", *more)
    assert sizes == [100, 100, 5, 1, 100, 5]
    assert abs(pictures[0] - pictures[1]).max() <= 8  # of 255: the last bits depend on the batch


@pytest.mark.parametrize(
    ("flags", "size"),
    [
        ([], 250),
        (["--sampler", "ddim", "--steps", "2"], 1),
        (["--sampler", "ddim", "--steps", "2", "--batch-size", "7"], 7),
        (["--batch-size", "7"], 7),
    ],
)
def test_evaluate_draws_what_fits(run_folder, have, monkeypatch, flags, size):
    """evaluate.py draws as many at once as fit; its own loop 250, as the kept samples say."""

    class Enough(Exception):
        """Stops the script before it draws."""

    def stop(model, labels, precision, sampler, seed, size, processes):
        raise Enough(size)

    def check(draw, processes, store, facts, fresh):
        assert facts.get("batch size") == (None if flags[:1] == ["--sampler"] else size)
        return draw()

    have(1)
    monkeypatch.setattr(evaluation, "drawn_samples", check)
    monkeypatch.setattr(evaluation, "draw_together", stop)
    args = ["--metrics", "memorization", "--num", "30", "--device", "cpu"]
    with pytest.raises(Enough) as stopped:
        call_script("code/evaluate.py", run_folder, *args, *flags)
    assert stopped.value.args == (size,)


def test_files_are_written_as_they_are_drawn(run_folder, tmp_path, monkeypatch):
    """With --out-dir alone, sample.py keeps no batch of pictures while the next ones are drawn."""
    alive = []

    def draw(model, labels, *args, **options):
        for size in map(len, labels.split(5)):
            assert sum(batch() is not None for batch in alive) <= 1
            batch = torch.rand(size, 1, 8, 8)
            alive.append(weakref.ref(batch))
            yield batch

    monkeypatch.setattr(drawing, "draw_samples", draw)
    args = ["--labels", "1,2", "--num", "20", "--out-dir", tmp_path / "files"]
    process = call_script("code/sample.py", run_folder, *args)
    assert process.returncode == 0, process.stderr
    assert len(alive) == 8
    assert len(list((tmp_path / "files").rglob("*.png"))) == 40

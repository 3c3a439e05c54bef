"""Shared by all tests: where real data lies, and how to run a script as a user does."""

import contextlib
import ctypes
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from autograder.sandbox.sandbox import Sandbox

from helpers.files import ROOT, SANDBOXED
from helpers.labs import LAYERS, Lab
from helpers.scripts import call_script
from libs.runtime import cli

cli.keep_freed_memory()


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What collection imports stays: Python need not look through it for garbage again and again,
    which takes a tenth of all tests' time. What is imported later is looked through rarely."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(700, 10, 100)
        gc.enable()


@pytest.fixture(autouse=True)
def _curves_where_asked_for(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Runs in this process plot their losses, over time and over noise levels, in tests marked
    `curve` only: each plot takes as long as ten training steps."""
    run_log = sys.modules.get("libs.training.run_log")
    if run_log is not None and request.node.get_closest_marker("curve") is None:
        monkeypatch.setattr(run_log, "save_training_curve", lambda *args: None)
        learner = sys.modules.get("libs.training.diffusion_learner")
        if learner is not None:
            monkeypatch.setattr(learner.DiffusionLearner, "noise_levels", lambda self: None)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run on the digits."""
    folder = tmp_path_factory.mktemp("trained")
    settings = ["model.dim=8", "model.timesteps=10", "train_cfg.num_eval_samples=1"]
    settings += ["train_cfg.max_steps=12", f"output_folder={folder}"]
    overrides = [part for s in settings for part in ("--set", s)]
    process = call_script("code/train.py", "configs/digits.yaml", "--output", "run", *overrides)
    assert process.returncode == 0, process.stderr
    assert "0.1" in process.stdout
    return folder / "digits_run"


@pytest.fixture(scope="session")
def captioned_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of one step on captioned pictures, in a run folder with its pictures."""
    from helpers.captioned import build_trainer, write_pictures

    place = tmp_path_factory.mktemp("run")
    write_pictures(place / "data" / "train")
    keys = "train_cfg.max_steps=1", "train_cfg.num_eval_samples=1"
    return build_trainer(place / "data", place, *keys).fit()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A warm sandbox for all submissions of this process: it has imported torch."""
    with Sandbox(trusted=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def starter() -> dict[str, bytes]:
    """What students get, as {path: content}."""
    from instructor.cutting.cutter import build
    from instructor.cutting.files import tracked_files

    return build(ROOT, tracked_files())


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """The folder of a small complete submission, with a copy of zip_submission.py."""
    from helpers.packing import submission

    return submission(tmp_path / "home work")


@pytest.fixture
def digits_args(tmp_path: Path) -> list[str]:
    """Arguments of a tiny digits run whose output goes to a temporary folder."""
    settings = {
        "output_folder": tmp_path / "logs",
        "model.dim": 8,
        "model.timesteps": 10,
        "train_cfg.num_eval_samples": 0,
    }
    return ["code/train.py", "configs/digits.yaml"] + [
        part for key, value in settings.items() for part in ("--set", f"{key}={value}")
    ]


@pytest.fixture(scope="module")
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A temporary folder for one file's tests, which see what is left behind there."""
    before, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("tmp"))
    yield
    tempfile.tempdir = before


@pytest.fixture(scope="session")
def started_labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lab]]:
    """What `labs` gives: each lab is started once in a process."""
    started: dict[tuple[str, ...] | None, Lab] = {}
    with contextlib.ExitStack() as stack:

        def lab(*only: str, everything: bool = False) -> Lab:
            without = () if everything else tuple(name for name in LAYERS if name not in only)
            if without not in started:
                sandbox = Sandbox(
                    "hostile_worker:serve",
                    trusted=True,
                    _without=without,
                    _preload=(),
                    _helpers=(str(SANDBOXED),),
                )
                stack.enter_context(sandbox)
                started[without] = Lab(sandbox, tmp_path_factory.mktemp("lab"))
            return started[without]

        yield lab


@pytest.fixture
def labs(own_temporary_folder: None, started_labs: Callable[..., Lab]) -> Callable[..., Lab]:
    """Labs with only the layers named, or with `everything`, and without torch."""
    return started_labs


@pytest.fixture
def full(labs: Callable[..., Lab]) -> Lab:
    """A lab with all layers."""
    return labs(everything=True)


@pytest.fixture
def offered() -> dict[str, bool]:
    """Which layers this system has, found out without the sandbox's code."""
    libc = ctypes.CDLL(None)
    namespaces = ["unshare", "--pid", "--net", "--ipc", "--mount", "--fork"]
    namespaces += [] if os.geteuid() == 0 else ["--map-root-user"]
    command = [*namespaces, "true"]
    return {
        "landlock": libc.syscall(444, None, ctypes.c_long(0), 1) > 0,
        "seccomp": libc.prctl(21, 0, 0, 0, 0) == 0,
        "namespaces": subprocess.run(command, capture_output=True, check=False).returncode == 0,
        "root": os.geteuid() == 0,
    }

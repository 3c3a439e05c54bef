"""Shared by all tests: where real data lies, and how to run a script as a user does."""

import contextlib
import importlib
import io
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from autograder.sandbox.sandbox import Sandbox

from libs.config import Config, ModelConfig
from libs.ddpm import DDPM
from libs.edm import EDM
from libs.models.build import build_model
from libs.runtime import cli

cli.keep_freed_memory()
ROOT = Path(__file__).resolve().parents[1]
# OpenMP threads that spin while waiting would slow parallel test processes down several times.
ENVIRONMENT = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}

# Where the locale is plain ASCII, Python can give no file a name of other letters.
any_name = pytest.mark.skipif(
    sys.getfilesystemencoding().lower() != "utf-8", reason="file names here are not UTF-8"
)


def find_asset(relative: str) -> Path:
    """A real file or folder below the project's root or below ../shared; skips where neither is."""
    for base in (ROOT, ROOT.parent / "shared"):
        if (base / relative).exists():
            return base / relative
    pytest.skip(f"needs the real files in {relative}, which are not here")


def make_model(model_name: str = "DDPM", **section: object) -> DDPM | EDM:
    """The model that a config with this section `model` describes, with random weights."""
    config = Config(model_name=model_name, model=ModelConfig(**section))
    return build_model(config, pretrained=False)


def run_script(*args: object, cwd: Path = ROOT, timeout: float = 900, **env: str):
    """Run `python ARGS` from a folder; returns the completed process with stdout and stderr.

    The timeout only ends what hangs: a busy machine may be many times slower than a quiet one.
    """
    return subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=cwd,
        env={**ENVIRONMENT, **env},
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


def call_script(*args: object) -> subprocess.CompletedProcess:
    """What `run_script` returns for a script of code/, but within this process.

    That saves the seconds which importing torch takes. Only for scripts that draw, score or refuse:
    training changes the state of its process.
    """
    script, *argv = map(str, args)
    main = importlib.import_module(Path(script).stem).main
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "argv", [script, *argv]))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(contextlib.chdir(ROOT))
        try:
            cli.run(main)
        except SystemExit as end:
            code = end.code or 0
    return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())


def call_program(*args: object, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """What `run_script` returns for a script outside of code/, but within this process."""
    script, *argv = map(str, args)
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    code = 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "argv", [script, *argv]))
        path = [str((ROOT / script).parent), *sys.path]
        stack.enter_context(mock.patch.object(sys, "path", path))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(contextlib.chdir(cwd))
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
    texts = [(stream.flush(), stream.buffer.getvalue().decode())[1] for stream in (out, err)]
    return subprocess.CompletedProcess(argv, code, *texts)


def assert_refused(process: subprocess.CompletedProcess, *words: str) -> None:
    """The script ended with exit code 2 and one sentence that holds the words, no traceback."""
    assert process.returncode == 2, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    for word in words:
        assert word in process.stderr, process.stderr


@pytest.fixture(autouse=True)
def _curves_where_asked_for(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """Runs in this process plot their losses in tests marked `curve` only: it takes as long as ten
    training steps."""
    run_log = sys.modules.get("libs.training.run_log")
    if run_log is not None and request.node.get_closest_marker("curve") is None:
        monkeypatch.setattr(run_log, "save_training_curve", lambda *args: None)


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
def sandbox() -> Iterator[Sandbox]:
    """A warm sandbox for all submissions of this process: it has imported torch."""
    with Sandbox(trusted=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def starter() -> dict[str, bytes]:
    """What students get, as {path: content}."""
    import release

    return release.build(ROOT, release.tracked_files())


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

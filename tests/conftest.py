"""Shared by all tests: where real data lies, and how to run a script as a user does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from libs import cli

cli.keep_freed_memory()
ROOT = Path(__file__).resolve().parents[1]
# OpenMP threads that spin while waiting would slow parallel test processes down several times.
ENVIRONMENT = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}


def find_asset(relative: str) -> Path:
    """A real file or folder below the project's root or below ../shared; skips where neither is."""
    for base in (ROOT, ROOT.parent / "shared"):
        if (base / relative).exists():
            return base / relative
    pytest.skip(f"needs the real files in {relative}, which are not here")


def run_script(*args: object, cwd: Path = ROOT, timeout: float = 120, **env: str):
    """Run `python ARGS` from a folder; returns the completed process with stdout and stderr."""
    return subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=cwd,
        env={**ENVIRONMENT, **env},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def assert_refused(process: subprocess.CompletedProcess, *words: str) -> None:
    """The script ended with exit code 2 and one sentence that holds the words, no traceback."""
    assert process.returncode == 2, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    for word in words:
        assert word in process.stderr, process.stderr


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

"""The folders that submissions are copied to: who can enter them, where they are, how they go."""

import contextlib
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from autograder.reading import work_folder as module
from autograder.reading.work_folder import work_folder

from helpers.files import ROOT

HOLD = """
import sys
from autograder.reading.work_folder import work_folder
with work_folder() as folder:
    (folder / "code").mkdir()
    print(folder.parent, flush=True)
    sys.stdin.read()
"""


def test_work_folders_are_closed_and_go(monkeypatch, tmp_path):
    """Others can enter a folder whose name they know, but not list its neighbours; then it goes."""
    monkeypatch.setattr(module, "IN_MEMORY", tmp_path)
    with contextlib.suppress(KeyError), work_folder() as folder:
        (folder / "code").mkdir()
        assert len(folder.name) == 32
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o711
        raise KeyError
    assert not folder.parent.exists()


@pytest.mark.parametrize(
    ("usual", "free", "in_memory"),
    [("/tmp", 1 << 30, True), ("/tmp", 30_000_000, False), ("/elsewhere", 1 << 30, False)],
)
def test_work_folders_are_in_memory(monkeypatch, tmp_path, usual, free, in_memory):
    """That is, if there is room, and nobody has chosen another place for temporary files."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: usual)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free))
    assert module.has_room(tmp_path) == in_memory
    assert not module.has_room(tmp_path / "missing")


def test_what_killed_graders_left_goes(monkeypatch, tmp_path):
    """Nobody may end up with a full memory; but a folder still in use stays, and so does a new one,
    which may not be locked yet, and what others left."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(module, "IN_MEMORY", tmp_path / "missing")
    (tmp_path / "another-1").mkdir()
    graders = []
    for _ in range(3):
        command = [sys.executable, "-c", HOLD]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        graders.append(subprocess.Popen(command, cwd=ROOT, text=True, **pipes))
    folders = [Path(grader.stdout.readline().strip()) for grader in graders]
    in_use, left, new = folders
    for grader in graders[1:]:
        grader.kill()
        grader.wait()
    for folder in (in_use, left, tmp_path / "another-1"):
        os.utime(folder, (0, 0))
    module.remove_abandoned.__wrapped__()
    assert sorted(tmp_path.iterdir()) == sorted([in_use, new, tmp_path / "another-1"])
    graders[0].communicate()
    assert not in_use.exists()

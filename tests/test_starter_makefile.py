"""The students' Makefile in a cut starter: what README.md says of each target."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from instructor.release import write_folder

from helpers.files import ROOT
from helpers.scripts import assert_refused, run_script
from helpers.starter import fill_in


def read(file: str | Path) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@pytest.fixture
def student(tmp_path, starter) -> Path:
    """A cut starter whose .venv runs this Python."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    folder = tmp_path / "starter"
    write_folder(starter, folder)
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    (folder / ".venv/installed").touch()
    os.utime(folder / ".venv/installed", (4e9, 4e9))  # newer than requirements.txt
    return folder


def make(folder: Path, *args: str) -> subprocess.CompletedProcess:
    environment = {
        k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "RUN")
    }
    return subprocess.run(
        ["make", *args],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_make_help_lists_the_targets_of_the_readme(student):
    """`make help` and README.md name the same targets, and every target is phony."""
    shown = make(student, "help").stdout.splitlines()
    targets = [line.split()[0] for line in shown]
    makefile = read(student / "Makefile")
    assert targets == re.search(r"\.PHONY: (.*)", makefile)[1].split()
    named = set(re.findall(r"`make ([a-z]+)`", read(student / "README.md"))) | {"setup"}
    assert named == set(targets)
    assert all(len(line.split(maxsplit=1)) == 2 for line in shown), "a target says what it does"


@pytest.mark.parametrize("target", ["sample", "evaluate"])
def test_targets_that_need_a_run_say_so(student, target):
    """Without a trained model there is one sentence, and folders of caches are not runs."""
    (student / "logs/latent_cache").mkdir(parents=True)
    process = make(student, target)
    assert process.returncode == 2
    assert "there is no trained model in logs/ yet: make train comes first" in process.stdout
    assert "Traceback" not in process.stdout + process.stderr


def test_targets_take_the_newest_run(student):
    """The run of the newest checkpoint, or the one that RUN names."""
    for age, name in enumerate(("digits_old", "digits_new")):
        path = student / "logs" / name / "model_final.pth"
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (1e9 + age, 1e9 + age))
    assert "sample.py logs/digits_new " in make(student, "--dry-run", "sample").stdout
    assert re.search(
        r"--out logs/digits_new/grid-\d+-\d+\.png", make(student, "-n", "sample").stdout
    )
    assert "evaluate.py logs/x" in make(student, "--dry-run", "evaluate", "RUN=logs/x").stdout


@pytest.mark.parametrize("flag", [["--similarity", "--out", "g"], ["--dask", "127.0.0.1:1"]])
def test_flags_for_instructors_are_refused_in_a_starter(student, flag):
    """What a flag needs has not gone out: one sentence, not a failed import after grading."""
    process = run_script("autograder/grade.py", "--public", ".", *flag, cwd=student)
    assert_refused(process, f"{flag[0]} is for instructors")


@pytest.mark.slow
def test_every_target_works_in_a_cut_starter(student):
    """From the first stub to pictures and scores, as README.md tells it."""
    for file, functions in (
        ("ddpm", {"compute_loss", "q_sample", "p_sample", "p_sample_loop"}),
        ("unet", {"forward"}),
    ):
        shutil.copy2(student / f"code/libs/{file}.py", student / f"{file}.stub")
        fill_in(student, file, functions)
    epoch = ["code/train.py", "configs/digits.yaml", "--set", "train_cfg.epochs=1"]
    process = run_script(*epoch, "--set", "train_cfg.num_eval_samples=1", cwd=student, timeout=600)
    assert process.returncode == 0, process.stderr
    for target in ("sample", "evaluate"):
        process = make(student, target)
        assert process.returncode == 0, process.stderr
    assert list(student.glob("logs/*/*.png"))
    assert "conditional accuracy" in process.stdout
    shutil.copy2(student / "ddpm.stub", student / "code/libs/ddpm.py")
    process = make(student, "train")
    assert process.returncode == 2
    quoted = re.search(r"compute_loss is not .*, line", process.stderr)[0]
    for text in ("README.md", "docs/assignment.md"):
        assert quoted in read(student / text), "texts quote what the scripts say"
    process = run_script(
        "-m", "pytest", "autograder/tests", "--collect-only", cwd=student, timeout=600
    )
    assert "cases: public" in process.stdout
    assert process.returncode == 0, process.stdout
    process = make(student, "grade")
    assert process.returncode == 0, process.stderr
    assert "compute_loss" in process.stdout


def test_make_zip_names_what_is_missing(student):
    """A starter as it was handed out has no names and no report: both are asked for, nothing is
    packed."""
    process = make(student, "zip")
    assert process.returncode == 2
    assert "team.csv" in process.stdout + process.stderr
    assert not (student / "submission.zip").exists()


def test_make_report_writes_the_pdf(student):
    """From the template as it was handed out, where the packages are installed."""
    pytest.importorskip("fpdf", reason="make_report.py needs requirements/report.txt")
    stamp = student / ".venv/installed-report"
    stamp.touch()
    os.utime(stamp, (4.1e9, 4.1e9))
    process = make(student, "report")
    assert process.returncode == 0, process.stderr
    assert (student / "writeup/report.pdf").read_bytes().startswith(b"%PDF")

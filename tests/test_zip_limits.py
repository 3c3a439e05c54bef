"""zip_submission.py on stubs, sizes and models, and what `--force` packs nevertheless."""

import os
import re
import shutil
import sys
import zipfile
from pathlib import Path
from unittest import mock

import pytest
import zip_submission

from helpers.packing import (
    TEAM,
    pack,
    packed,
    refused,
    submission,
    write,
)
from helpers.scripts import assert_refused

STUBS = '''class DDPM:
    def q_sample(self):
        # TODO
        raise NotImplementedError("see eq. 4")

    def p_sample(self):
        for _ in "ab":
            raise NotImplementedError
    def done(self):
        """raise NotImplementedError"""
        raise ValueError(NotImplementedError)

class Images:
    def select(self):
        raise NotImplementedError

class Faces(Images):
    def select(self):
        return 1

def outer():
    async def inner():
        raise NotImplementedError("x")
'''


def test_stubs_of_the_core_ask_for_force(team):
    """Core functions without an answer are named with lines; --force hands them in like that."""
    write(team, {"code/libs/ddpm.py": STUBS, "results/x.py": STUBS})
    problems = refused(team, "Problems (2)")
    assert "  - DDPM.q_sample (code/libs/ddpm.py, line 4) is not implemented" in problems
    assert "  - DDPM.p_sample (code/libs/ddpm.py, line 8) is not implemented" in problems
    process = pack(team, "--force")
    assert process.returncode == 0
    assert "Not implemented, as bonus parts may be: outer.inner" in process.stdout
    names = zipfile.ZipFile(team / "submission.zip").namelist()
    assert "PROBLEMS.txt" not in names  # the missing points are enough: no instruction is broken


def test_stubs_of_the_bonus_are_a_note(team):
    """A bonus part that nobody began takes one line, and is neither a problem nor a warning."""
    bonus = "".join(
        f"def step{i}():\n    raise NotImplementedError('see eq. {i}')\n" for i in "1234"
    )
    write(team, {"code/libs/edm.py": bonus})
    process = pack(team)
    assert (process.returncode, process.stderr) == (0, "")
    note, *rest = process.stdout.splitlines()
    assert note.startswith(
        "Not implemented, as bonus parts may be: step1 (code/libs/edm.py, line 2)"
    )
    assert note.endswith("and 1 more")
    assert not any("Warning" in line for line in rest)


def test_functions_of_the_core_that_do_nothing_are_stubs(team):
    """pass, ... and `return None` instead of an answer; an own limit under an if is none."""
    body = '''class DDPM:
    def q_sample(self):
        """Text."""
        pass

    def compute_loss(self): ...

    def p_sample(self):
        return None

    def p_sample_loop(self, x):
        if x > 3:
            raise NotImplementedError("only three")
        return x

    def __init__(self):
        pass
'''
    write(team, {"code/libs/ddpm.py": body})
    problems = refused(team, "Problems (3)")
    assert re.findall(r"- DDPM\.(\w+) .*line (\d+)", problems) == [
        ("q_sample", "2"),
        ("compute_loss", "6"),
        ("p_sample", "8"),
    ]


def sparse(path: Path, size: int) -> None:
    """Make a file of zeros of a number of bytes that takes no place on the disk."""
    with open(path, "wb") as file:
        file.truncate(size)


def test_size_limit_counts_all_but_the_model(team, tmp_path):
    """More than 50 MB are refused with the largest files' names; a model does not count."""
    sparse(team / "results" / "big.png", 30_000_000)
    sparse(team / "results" / "film.gif", 21_000_000)
    refused(team, "51.0 MB", "limit of 50.0 MB", "results/big.png (30.0 MB), results/film.gif")
    (team / "results" / "big.png").unlink()
    (team / "results" / "film.gif").unlink()
    sparse(tmp_path / "model_final.pth", 51_000_000)
    process = pack(team, "--with-model", "../model_final.pth")
    assert process.returncode == 0, process.stderr
    assert "model_final.pth, 51.0 MB" in process.stdout
    info = zipfile.ZipFile(team / "submission.zip").getinfo("model/model_final.pth")
    assert info.file_size == 51_000_000


def test_model_above_the_limit(team, tmp_path):
    """A model of 2 GB is refused with its size; --force packs it, a piece at a time."""
    sparse(tmp_path / "sd.ckpt", 2_000_000_000)
    args = ("--with-model", tmp_path / "sd.ckpt")
    refused(team, "sd.ckpt has 2.0 GB, above the limit of 1.0 GB", args=args)
    survey = zip_submission.Survey(team, team / "submission.zip")
    pieces = []

    def copy(source, target, length):
        pieces.append(length)
        target.write(source.read(10))

    extra = {"model/sd.ckpt": tmp_path / "sd.ckpt"}
    with mock.patch.object(zip_submission.shutil, "copyfileobj", copy):
        zip_submission.write_zip(team / "x.zip", survey, extra)
    assert set(pieces) == {1 << 20}


def test_model_that_is_not_there(team):
    """A model that does not exist is one of the problems."""
    refused(team, "no file nothing.pth", args=("--with-model", "nothing.pth"))


def test_all_problems_come_at_once_and_nothing_is_written(tmp_path):
    """Several problems make one list; an older zip is left alone and called older."""
    root = submission(tmp_path / "team")
    packed(root)
    before = (root / "submission.zip").read_bytes()
    shutil.rmtree(root / "configs")
    (root / "team.csv").unlink()
    write(root, {"code/train.py": "def f(:\n", "code/x.py": "y = '/home/ann'\n"})
    process = pack(root)
    assert_refused(process, "Problems (4):", "configs/", "team.csv", "line 1", "'/home/ann'")
    assert "an older one" in process.stderr
    assert (root / "submission.zip").read_bytes() == before


def test_force_packs_the_problems_too(team):
    """--force writes the zip despite problems, with their list in PROBLEMS.txt."""
    (team / "team.csv").unlink()
    shutil.rmtree(team / "results")
    process = pack(team, "--force")
    assert process.returncode == 0
    assert "team.csv is missing" in process.stderr
    with zipfile.ZipFile(team / "submission.zip") as archive:
        text = archive.read("PROBLEMS.txt").decode()
        assert "code/train.py" in archive.namelist()
    assert text.count("  - ") == 2
    assert "team.csv is missing" in text
    assert "results/" in text


def test_force_without_problems_is_the_plain_zip(team):
    """--force changes nothing where nothing is wrong."""
    assert packed(team) == packed(team, "--force")


@pytest.mark.parametrize("out", ["team.csv", "code", "nowhere/x.zip"])
def test_output_that_would_destroy_work(team, out):
    """--out refuses what is not a zip, a folder, and a folder that does not exist."""
    assert_refused(pack(team, "--out", out), "--out")
    assert (team / "team.csv").read_text(encoding="utf-8") == TEAM


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names that are any bytes")
def test_file_name_that_is_not_unicode(team):
    """A file name that no zip can hold is a problem, not a crash."""
    with open(os.fsencode(team) + b"/results/\xff.png", "wb"):
        pass
    refused(team, "not valid Unicode")

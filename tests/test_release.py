"""Cutting the starter: stubs, refusals, leaks, and the three ways to write it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import zip_submission
from instructor.cutting import cutter, regions
from instructor.cutting.cutter import build
from instructor.cutting.files import tracked_files
from instructor.cutting.regions import ReleaseError
from instructor.release import write_folder, write_zip

from helpers.files import ROOT
from helpers.scripts import assert_refused, call_program, run_script
from helpers.starter import fill_in

TASK = "    # TODO: Add the two numbers (eq. 4). Both are floats.\n"
SOLVED = f"""def add(a, b):
{TASK}    # BEGIN SOLUTION q_sample
    total = a + b
    assert total == total
    return total
    # END SOLUTION
"""


def cut_tree(root: Path, files: dict[str, str]) -> dict[str, bytes]:
    """Build a starter from files written below root."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return build(root, list(files))


def test_region_becomes_a_stub():
    """The TODO text stays, the region becomes one error that repeats the task."""
    starter, found = regions.cut(SOLVED, "code/a.py")
    stub = '    raise NotImplementedError("Add the two numbers (eq. 4): see the TODO above")\n'
    assert starter == f"def add(a, b):\n{TASK}{stub}"
    assert (found[0].line, found[0].part) == (3, "q_sample")
    assert found[0].significant()[0] == "total=a+b"


def test_an_error_repeats_the_first_sentence_of_the_task():
    """A range such as 0 .. T-1 does not end a sentence."""
    task = "Draw t, all of 0 .. T-1 alike. Then diffuse x_start."
    lines = regions.stub(regions.Region("a.py", 1, "q_sample", task, []), indent=4)
    assert lines == [
        '    raise NotImplementedError("Draw t, all of 0 .. T-1 alike: see the TODO above")'
    ]


def test_a_given_region_keeps_its_solution():
    """Its markers and its task go; nothing is left that looks like work to do."""
    starter, found = regions.cut(SOLVED, "code/a.py", given={"q_sample"})
    assert starter == regions.unmarked(SOLVED).replace(TASK, "")
    assert found == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SOLVED.replace("    # END SOLUTION\n", ""), "line 3: BEGIN without END"),
        (SOLVED.replace("    # BEGIN SOLUTION q_sample\n", ""), "line 6: END without BEGIN"),
        (
            SOLVED.replace("    total = a", "    # BEGIN SOLUTION unet\n    total = a"),
            "line 4: BEGIN in",
        ),
        (SOLVED.replace("TODO: ", ""), "line 3: no '# TODO"),
        (SOLVED.replace(TASK, ""), "line 2: no '# TODO"),
        (
            SOLVED.replace("# BEGIN", "x = 1  # BEGIN"),
            "line 3: a marker is '# BEGIN SOLUTION PART'",
        ),
        (
            SOLVED.replace("SOLUTION q_sample", "SOLUTION"),
            "line 3: a marker is '# BEGIN SOLUTION PART'",
        ),
        (SOLVED + "def broken(:\n", "does not parse"),
        (f"def f():\n{TASK}    # BEGIN SOLUTION q_sample\n    # END SOLUTION\n", "region is empty"),
    ],
)
def test_wrong_markers_are_refused(text, words):
    """Markers that do not pair, lack a task or leave no Python are refused with file and line."""
    with pytest.raises(ReleaseError) as error:
        regions.cut(text, "code/a.py")
    assert "code/a.py, line " in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "hiding_place",
    [
        "total = a + b\nassert total == total\nreturn total\n",
        "# total = a + b\n#   assert total==total\n\n#   return total  \n",
        "> ```\n> total = a + b\n> assert total == total\n> return total\n> ```\n",
        "key: |\n  total = a + b\n  assert total == total\n  return total\n",
    ],
)
@pytest.mark.parametrize("name", ["code/b.py", "code/notes.md", "configs/c.yaml"])
def test_surviving_solution_is_refused(tmp_path, hiding_place, name):
    """Three lines of a solution in a row are found in code, comments, docs and configs."""
    if name.endswith(".py"):
        hiding_place = f'"""\n{hiding_place}"""\n'
    with pytest.raises(ReleaseError, match=rf"{name}, line \d+: lines of the solution"):
        cut_tree(tmp_path, {"code/a.py": SOLVED, name: hiding_place})


@pytest.mark.parametrize(("start", "end"), [("", ""), ('"""\n', '"""\n')])
def test_copy_in_the_same_file_is_refused(tmp_path, start, end):
    """A solution left in a comment or a string of its own file is a leak."""
    mark = "" if start else "# "
    copy = "".join(
        f"{mark}{s}\n" for s in ("total = a + b", "assert total == total", "return total")
    )
    with pytest.raises(ReleaseError, match=r"code/a\.py, line \d+: lines of the solution"):
        cut_tree(tmp_path, {"code/a.py": SOLVED + start + copy + end})


def test_solution_in_a_notebook_is_refused(tmp_path):
    """The cells of a notebook are searched as the text they show."""
    source = ["total = a + b\n", "assert total == total\n", "return total"]
    notebook = json.dumps({"cells": [{"cell_type": "code", "source": source}]})
    with pytest.raises(ReleaseError, match=r"n\.ipynb, line 1"):
        cut_tree(tmp_path, {"code/a.py": SOLVED, "notebooks/n.ipynb": notebook})


def test_given_lines_are_no_leak(tmp_path):
    """Lines that stand unmarked in the same file, and one or two lines elsewhere, are given."""
    given = "def other(a, b):\n    total = a + b\n    assert total == total\n    return total\n"
    starter = cut_tree(tmp_path, {"code/a.py": SOLVED + given, "code/b.py": "total = a + b\n"})
    assert b"raise NotImplementedError" in starter["code/a.py"]


def test_what_goes_out_and_what_stays(starter):
    """The starter has code, configs and scripts; no solution, test, release tool or CI goes out."""
    expected = "code/libs/ddpm.py code/train.py configs/digits.yaml requirements.txt Makefile"
    expected += " README.md zip_submission.py download_dataset.sh writeup/report.md team.csv"
    assert starter.keys() >= set(expected.split())
    assert not any(f.startswith(("instructor", "tests", ".ci")) for f in starter)
    assert not any(b"SOLUTION" in content for content in starter.values())
    assert starter["README.md"] != (ROOT / "README.md").read_bytes()
    assert starter["team.csv"].decode() == zip_submission.TEAM_TEMPLATE


def test_all_graded_parts_are_stubs(starter):
    """Each graded function, and each place of the latent branch, is a stub in the starter."""
    assert starter["code/libs/ddpm.py"].count(b"raise NotImplementedError") == 6
    assert starter["code/libs/unet.py"].count(b"raise NotImplementedError") == 1
    assert starter["code/libs/edm.py"].count(b"raise NotImplementedError") == 3
    assert starter["code/libs/stable_diffusion.py"].count(b"raise NotImplementedError") == 4


def test_zip_repeats_byte_for_byte(tmp_path, starter):
    """The same starter gives the same zip."""
    for name in ("a.zip", "b.zip"):
        write_zip(starter, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_used_folder_is_refused(tmp_path):
    """A folder that holds something is never written into."""
    (tmp_path / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(ReleaseError, match="not empty"):
        write_folder({"a": b""}, tmp_path)


@pytest.mark.parametrize(
    "flags", ["--out {}/file", "--out {}/file/x", "--zip {}/file/x", "--zip {}"]
)
def test_places_that_cannot_be_written_are_refused(tmp_path, flags, monkeypatch):
    """A file where a folder should be, or the other way round, is one sentence."""
    monkeypatch.setattr(cutter, "build", lambda *_: {"README.md": b"x"})
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    flag, place = flags.format(tmp_path).split()
    assert_refused(call_program("instructor/release.py", flag, place), f"{flag}: {tmp_path}")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", *args], cwd=folder, capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout


def test_without_git_there_is_a_sentence(tmp_path):
    """Without git the release ends with one sentence and writes nothing."""
    process = run_script(
        ROOT / "instructor/release.py", "--out", tmp_path / "s", PATH=str(tmp_path)
    )
    assert_refused(process, "error: git,", "is not installed")
    assert not (tmp_path / "s").exists()


@pytest.fixture
def clone(tmp_path):
    """A repository as a clone of the private branch would be."""
    folder = tmp_path / "clone"
    for file in tracked_files():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, folder / file)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "Team 07")
    git(folder, "config", "user.email", "team-07@example.org")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "All")
    return folder


def test_branch_has_its_own_history(clone):
    """--branch commits the starter alone, once for each change, and leaves the tree untouched."""
    (clone / "unsaved.txt").write_text("mine", encoding="utf-8")
    for expected in ("committed", "no new commit"):
        process = run_script("instructor/release.py", "--branch", "starter", cwd=clone)
        assert process.returncode == 0, process.stderr
        assert expected in process.stdout
    assert git(clone, "status", "--short") == "?? unsaved.txt\n"
    log = git(clone, "log", "--format=%B", "starter").strip()
    assert log.count("Cut from commit") == 1
    assert git(clone, "rev-parse", "--short", "main").strip() in log
    files = git(clone, "ls-tree", "-r", "--name-only", "starter").split()
    assert "code/libs/ddpm.py" in files
    assert not any(f.startswith(("instructor", "tests")) for f in files)
    assert "BEGIN SOLUTION" not in git(clone, "grep", "-h", "-e", "", "starter")

    git(clone, "mv", "configs/fashion_mnist.yaml", "configs/clothes.yaml")
    git(clone, "commit", "-qm", "Rename")
    assert run_script("instructor/release.py", "--branch", "starter", cwd=clone).returncode == 0
    assert git(clone, "rev-list", "--count", "starter").strip() == "2"


def test_the_folder_decides_what_students_never_get(clone, tmp_path):
    """A new file goes out, unless it is in hidden/ or extras/: no list has to name it."""
    grader, new = clone / "autograder", '"""New."""\n'
    stays = [grader / "hidden" / "new.py", grader / "hidden" / "more" / "new.npz"]
    stays += [grader / "extras" / "new.html"]
    goes = [grader / "new.py", grader / "checks" / "new.py", grader / "checks" / "hidden.py"]
    for file in (*stays, *goes):
        file.parent.mkdir(exist_ok=True)
        file.write_text(new, encoding="utf-8")
    git(clone, "add", "-A")
    process = run_script("instructor/release.py", "--out", tmp_path / "cut", cwd=clone)
    assert process.returncode == 0, process.stderr
    cut = tmp_path / "cut"
    assert {file for file in (*stays, *goes) if (cut / file.relative_to(clone)).exists()} == {*goes}
    assert not any(path.is_dir() for path in cut.glob("autograder/hidden"))


def test_checked_out_branch_is_refused(clone):
    """The branch with the solutions is never overwritten."""
    process = run_script("instructor/release.py", "--branch", "main", cwd=clone)
    assert_refused(process, "holds the solutions")


@pytest.mark.slow
def test_starter_trains_when_filled_in(tmp_path, digits_args):
    """The starter stops at each stub by name; with the reference's regions put back it trains."""
    starter = tmp_path / "starter"
    write_folder(build(ROOT, tracked_files()), starter)
    run = [*digits_args, "--set", "train_cfg.max_steps=2", "--set", "train_cfg.num_eval_samples=1"]
    run += ["--set", "dataset.test_split=null"]
    parts = [("ddpm", "compute_loss"), ("ddpm", "q_sample"), ("unet", "forward")]
    parts += [("ddpm", "p_sample_loop"), ("ddpm", "p_sample")]
    done: set[tuple[str, str]] = set()
    for number, (file, function) in enumerate(parts):
        process = run_script(*run, "--output", f"try{number}", cwd=starter)
        where = f"{function} is not implemented yet: code/libs/{file}.py, line "
        assert_refused(process, where)
        line = int(process.stderr.split("line ")[1].split()[0])
        text = (starter / f"code/libs/{file}.py").read_text(encoding="utf-8").splitlines()
        assert "raise NotImplementedError" in text[line - 1]
        done.add((file, function))
        fill_in(starter, file, {f for name, f in done if name == file})
    process = run_script(*run, "--output", "all", cwd=starter)
    assert process.returncode == 0, process.stderr
    assert "trained model" in process.stdout

"""grade.py as instructors run it: whole batches, what lies in the folder afterwards, bad input."""

import csv
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest
from autograder.checks.student import RunState
from autograder.judge import RubricTest, run_test
from autograder.output.pages import write_submission
from autograder.results import FAILED, Grade
from autograder.rubric import load_rubric
from autograder.text import alike
from instructor.submissions.overlay import Scenario, scenarios

from helpers.files import ROOT, any_name
from helpers.scripts import ENVIRONMENT, assert_refused, call_program, run_script

AUTOMATIC = ["unet", "q_sample", "p_sample", "p_sample_loop", "compute_loss", "latent"]
BONUS = ["bonus_evaluation", "bonus_sampling", "bonus_edm", "bonus_scaling"]


@pytest.fixture(scope="module")
def hand_ins(tmp_path_factory) -> Path:
    """A folder of zips: the reference, the starter, and one with a single mistake."""
    folder = tmp_path_factory.mktemp("class")
    for base in ("reference", "starter"):
        Scenario("right", base, "", base).zip_to(folder / f"{base}.zip")
    wrong = {s.name: s for s in scenarios("wrong")}["q_sample_coefficients_swapped"]
    wrong.zip_to(folder / "swapped.zip")
    return folder


@pytest.fixture(scope="module")
def graded(hand_ins: Path, tmp_path_factory) -> tuple[Path, str]:
    """The folder of results, and what grading printed."""
    out = tmp_path_factory.mktemp("out")
    args = (hand_ins, "--out", out, "--seed", 11, "--jobs", 2)
    done = run_script("autograder/grade.py", *args, PYTHONIOENCODING="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    return out, done.stdout


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / "grades.csv", encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def total(out: Path, submission: str) -> str:
    return next(row["total"] for row in rows(out) if row["submission"] == submission)


def test_points_stand_in_the_sheet(graded):
    """Full points for the reference, none for the starter, and one part lost for one mistake."""
    out, _ = graded
    points = {row["submission"]: [row[part] for part in AUTOMATIC] for row in rows(out)}
    assert points == {
        "reference.zip": ["1"] * 6,
        "starter.zip": ["0"] * 6,
        "swapped.zip": ["1", "0", "1", "1", "1", "1"],
    }
    assert len(rows(out)) == 6, "one row a member: each of the three teams has two"
    assert all(row["report_unet"] == "" for row in rows(out))
    bonus = {row["submission"]: [row[part] for part in BONUS] for row in rows(out)}
    assert bonus == {"reference.zip": ["2"] * 4, "starter.zip": ["0"] * 4, "swapped.zip": ["2"] * 4}


def test_each_submission_gets_its_files_and_the_class_its_overview(graded):
    """Three files for each submission, and the sheets and the page for the class."""
    out, _ = graded
    for name in ("reference.zip", "starter.zip", "swapped.zip"):
        assert {path.name for path in (out / name).iterdir()} == {
            "results.json",
            "report.html",
            "log.txt",
        }
    assert {"grades.csv", "canvas.csv", "moodle.csv", "index.html"} <= {
        path.name for path in out.iterdir()
    }


def test_the_table_says_what_is_wrong_and_what_to_look_at(graded):
    """The terminal alone tells which part failed, why, what to look at, and how to repeat it."""
    _, printed = graded
    assert "seed 11: --seed 11 repeats these tests" in printed
    words = " ".join(printed.split())
    assert re.search(r"q_sample 0 of 1 ✗ At t = \d+ \(T = 500\), x_t holds", words)
    assert "The two weights of eq. 4 look swapped" in words
    assert "Not implemented yet (code/libs/ddpm.py, line" in words


def test_reports_say_what_protected_the_grader(graded):
    """A grade can be judged later: its seed and the protections are stored with it."""
    out, _ = graded
    results = json.loads((out / "reference.zip" / "results.json").read_text(encoding="utf-8"))
    assert results["extra_data"]["seed"] == 11
    assert {"files", "network", "processes"} <= set(results["extra_data"]["protections"])


@any_name
def test_moodles_layout(tmp_path, sandbox, monkeypatch):
    """Each submission.zip in a folder of its own is a submission, in all outputs."""
    folders = ["Zoë Li_1_assignsubmission_file_", "zoe\u0308 li_1_assignsubmission_file_"]
    folders += ["Bo_2_assignsubmission_file_", "Bo _2_assignsubmission_file_"]
    for number, folder in enumerate(folders):
        (tmp_path / "class" / folder).mkdir(parents=True)
        (tmp_path / "class" / folder / "submission.zip").write_bytes(b"no zip %d" % number)
    out = tmp_path / "out"
    monkeypatch.setattr("autograder.batch.own_sandbox", lambda *order: sandbox)
    done = call_program("autograder/grade.py", tmp_path / "class", "--out", out, "--jobs", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    names = [row["submission"] for row in rows(out)]
    assert len(set(map(alike, names))) == 4
    assert all("_assignsubmission_file_/submission.zip" in name for name in names)
    results = [path.parent.name for path in out.glob("*/results.json")]
    assert len(set(map(alike, results))) == 4
    sheet = tmp_path / "by-hand.csv"
    lines = [f'"{name}",{number / 2}' for number, name in enumerate(names)]
    sheet.write_text("\n".join(["submission,report_unet", *lines]) + "\n", encoding="utf-8")
    args = ("--out", out, "--manual", sheet, "--resume", "--jobs", 1)
    done = call_program("autograder/grade.py", tmp_path / "class", *args)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 are graded already" in done.stdout  # although none could be read
    assert "index.html: 4 submissions" in done.stdout
    assert [row["report_unet"] for row in rows(out)] == ["0", "0.5", "1", "1.5"]


def test_one_part_again_keeps_the_others_and_a_persons_points(
    graded, hand_ins, tmp_path, sandbox, monkeypatch
):
    """Grading one part again costs no work that is done."""
    out, _ = graded
    sheet = tmp_path / "manual.csv"
    columns, row = "report_unet,bonus_sampling,deductions", "1.5,2,0"
    sheet.write_text(f"submission,{columns}\nswapped.zip,{row}\n", encoding="utf-8")
    done = call_program("autograder/grade.py", "--manual", sheet, "--out", out)
    assert done.returncode == 0, done.stderr
    assert total(out, "swapped.zip") == "16.5"
    before = rows(out)
    path = hand_ins / "swapped.zip"
    monkeypatch.setattr("autograder.batch.own_sandbox", lambda *order: sandbox)
    done = call_program("autograder/grade.py", path, "--out", out, "--only", "q_sample")
    assert done.returncode == 0, done.stderr
    assert rows(out) == before


def test_mistakes_in_a_persons_file_are_listed_and_nothing_is_lost(graded, tmp_path):
    """A typing error in the points of a person changes no sheet."""
    out, _ = graded
    before = (out / "grades.csv").read_bytes()
    sheet = tmp_path / "manual.csv"
    sheet.write_text("submission,report_unet\nnobody.zip,1\nreference.zip,9\n", encoding="utf-8")
    done = call_program("autograder/grade.py", "--manual", sheet, "--out", out)
    assert_refused(done, "nobody.zip", "9")
    assert (out / "grades.csv").read_bytes() == before


def test_results_folder_inside_the_class_folder_is_no_submission(hand_ins, tmp_path, monkeypatch):
    """Grades that were written into the class's own folder are not graded."""

    def grade_all(paths, *_):
        return (Grade(path.name) for path in paths)

    monkeypatch.setattr("autograder.batch.grade_all", grade_all)
    inside = tmp_path / "class"
    write_submission(Grade("starter.zip"), load_rubric(), inside / "grades")
    shutil.copy(hand_ins / "starter.zip", inside)
    done = call_program("autograder/grade.py", inside, "--out", inside / "grades")
    assert done.returncode == 0, done.stderr
    assert {row["submission"] for row in rows(inside / "grades")} == {"starter.zip"}


@pytest.mark.slow
def test_pytest_itself_runs_the_same_tests(hand_ins):
    """Whoever changes a test can run it by pytest, with the judge's outcome."""
    tests = ("-m", "pytest", "-q", "autograder/tests/test_q_sample.py", "--seed", "3")
    good = run_script(*tests, "--submission", hand_ins / "reference.zip")
    assert good.returncode == 0, good.stdout
    bad = run_script(*tests, "--submission", hand_ins / "swapped.zip")
    assert bad.returncode == 1
    assert "[q_sample_swapped]" in bad.stdout


def test_a_test_that_breaks_down_is_a_failed_test():
    """An error of the grader must not look like a test that passed, nor end the others."""

    def broken(student: None) -> None:
        raise ZeroDivisionError("by zero")

    test = RubricTest("unet", "", "test_wiring[mnist]", "", "", broken, {}, ("student",))
    result = run_test(test, None, 0, RunState())
    assert (result.part, result.outcome, result.hint_id) == ("unet", FAILED, "grader_failed")
    assert "ZeroDivisionError" in result.reason


@pytest.mark.slow
def test_what_one_part_leaves_behind_costs_no_other(tmp_path):
    """Parts share a worker, and a right function is not failed by what another left in it."""
    code = """
def q_sample(self, x_start, t, noise=None):
    torch.zeros = torch.ones = torch.cat = None  # spoils what comes after
    noise = torch.randn_like(x_start) if noise is None else noise
    signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    return signal * x_start + self._extract(
        self.sqrt_one_minus_alphas_cumprod, t, x_start.shape
    ) * noise
"""
    scenario = Scenario("right", "spoils", "", "reference", places={"ddpm.q_sample": code})
    path = scenario.zip_to(tmp_path / "spoils.zip")
    done = run_script("autograder/grade.py", path, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    row = rows(tmp_path / "out")[0]  # one a member
    assert {part: row[part] for part in AUTOMATIC} == dict.fromkeys(AUTOMATIC, "1")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], ["name a zip"]),
        (["nowhere.zip"], ["nowhere.zip", "does not exist"]),
        (["docs"], ["docs", "no submission"]),
        (["EMPTY"], ["EMPTY", "no submission"]),
        ([".", "--only", "q_simple"], ["q_simple", "did you mean 'q_sample'", "compute_loss"]),
        ([".", "--out", "README.md/grades"], ["README.md", "--out"]),
        ([".", "--out", "README.md"], ["README.md", "--out"]),
        ([".", "--jobs", "0"], ["--jobs"]),
        ([".", "--jobs", "two"], ["--jobs"]),
        ([".", "--seed", "-1"], ["--seed"]),
        ([".", "--public", "--manual", "x.csv"], ["--out"]),
        (["--manual", "nowhere.csv", "--out", "EMPTY"], ["nowhere.csv"]),
        (["--manual", "README.md", "--out", "EMPTY"], ["EMPTY", "holds no results"]),
        ([".", "--resume", "--out", "EMPTY"], ["--resume", "EMPTY", "no results"]),
        ([".", "--resume", "--out", "OTHER"], ["--resume", "other submissions", "team-01.zip"]),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_sentence(args, words, tmp_path):
    """Each wrong call ends in one line that names what is wrong, and leaves no file."""
    for name in ("EMPTY", "OTHER"):
        (tmp_path / name).mkdir()
    write_submission(Grade("team-01.zip"), load_rubric(), tmp_path / "OTHER")
    given = [str(tmp_path / word) if word in ("EMPTY", "OTHER") else word for word in args]
    before = sorted(path.name for path in tmp_path.rglob("*"))
    done = call_program("autograder/grade.py", *given)
    assert_refused(done, *words)
    said = [line for line in done.stderr.splitlines() if "error: " in line]
    assert len(said) == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_an_unknown_team_in_a_persons_file_is_named(tmp_path):
    """The line and the closest name are enough to mend it."""
    out = tmp_path / "out"
    write_submission(Grade("team-01.zip", team="Northern Lights"), load_rubric(), out)
    sheet = tmp_path / "points.csv"
    sheet.write_text("team,report_unet\nNorthern Light,1\n", encoding="utf-8")
    done = call_program("autograder/grade.py", "--manual", sheet, "--out", out)
    assert_refused(done, "line 2", "there is no team 'Northern Light'", "did you mean")


def test_a_full_disk_is_one_sentence_and_keeps_what_is_done(tmp_path, monkeypatch):
    """Hours of grading survive a disk that fills up at the end."""
    out = tmp_path / "out"
    write_submission(Grade("team-01.zip"), load_rubric(), out)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "grades.csv")
    monkeypatch.setattr("autograder.output.sheets.write_text", mock.Mock(side_effect=full))
    sheet = tmp_path / "points.csv"
    sheet.write_text("submission,report_unet\nteam-01.zip,1\n", encoding="utf-8")
    done = call_program("autograder/grade.py", "--manual", sheet, "--out", out)
    assert_refused(done, "grades.csv: No space left on device", "finished grades are kept")


@pytest.fixture
def many(hand_ins: Path, tmp_path: Path) -> Path:
    """Eight submissions."""
    folder = tmp_path / "class"
    folder.mkdir()
    for number in range(8):
        copy = folder / f"team-{number:02}.zip"
        copy.write_bytes((hand_ins / "reference.zip").read_bytes())
    return folder


def start(many: Path, out: Path) -> subprocess.Popen:
    """Begin to grade, in a process group of its own, and wait for the first result."""
    process = subprocess.Popen(
        [sys.executable, "autograder/grade.py", str(many), "--out", str(out), "--jobs", "2"],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for line in process.stdout:
        if line.startswith("1 of 8"):
            return process
    raise AssertionError(process.stderr.read())


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_resume_goes_on(many, tmp_path):
    """A stopped grading leaves whole results, which --resume does not touch."""
    out = tmp_path / "out"
    process = start(many, out)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 130, errors
    assert "--resume continues" in errors
    assert "Traceback" not in errors
    kept = {row["submission"]: row for row in rows(out)}
    assert 1 <= len(kept) < 8
    stamps = {name: (out / name / "log.txt").stat().st_mtime_ns for name in kept}
    done = run_script("autograder/grade.py", many, "--out", out, "--resume")
    assert done.returncode == 0, done.stderr
    assert f"{len(kept)} of 8 are graded already" in done.stdout
    assert {row["submission"] for row in rows(out)} == {f"team-{n:02}.zip" for n in range(8)}
    assert all(row["q_sample"] == "1" for row in rows(out))
    assert stamps, "what was done stayed"


@pytest.mark.slow
def test_a_grading_process_that_is_killed_costs_no_submission(many, tmp_path):
    """Out-of-memory killers take a process at random: all submissions are graded still."""
    out = tmp_path / "out"
    process = start(many, out)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    pool = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(int(pool[0]), signal.SIGKILL)
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    found = rows(out)
    assert {row["submission"] for row in found} == {f"team-{n:02}.zip" for n in range(8)}
    assert all(row[part] == "1" for row in found for part in AUTOMATIC)


@pytest.mark.slow
def test_nothing_outlives_a_grader_that_is_killed(many, tmp_path):
    """No student's process goes on when the grader is gone."""
    process = start(many, tmp_path / "out")
    session = os.getsid(process.pid)
    process.kill()
    process.communicate(timeout=900)
    deadline = time.monotonic() + 20
    while (left := in_session(session)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


def in_session(session: int) -> list[str]:
    """Commands of the processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append((path / "cmdline").read_bytes().decode())
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_the_starter_grades_itself_and_the_solution_passes(tmp_path):
    """`make grade` in what students get: no hidden file is needed, and none is there."""
    starter = tmp_path / "starter"
    done = run_script("instructor/release.py", "--out", starter)
    assert done.returncode == 0, done.stderr
    assert not (starter / "autograder" / "hidden").exists()
    empty = run_script("autograder/grade.py", ".", cwd=starter)
    assert empty.returncode == 1, empty.stderr
    assert empty.stdout.count("Not implemented yet") == 10  # parts
    for name in ("ddpm.py", "unet.py"):
        solved = (ROOT / "code" / "libs" / name).read_bytes()
        (starter / "code" / "libs" / name).write_bytes(solved)
    solved = run_script("autograder/grade.py", ".", cwd=starter)
    assert solved.returncode == 0, solved.stdout + solved.stderr  # bonus parts may be left out
    assert solved.stdout.count("Not implemented yet") == 4  # bonus parts
    assert not (starter / "grades").exists()

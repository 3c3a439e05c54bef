"""Grade one submission: prepare it, run pytest on it, and turn the results into points.

pytest runs in this process, which is trusted; the submission runs in a sandbox (student.py).
"""

import contextlib
import io
import os
import re
import secrets
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autograder.examine import Examination, examine, give_memory_back
from autograder.hints import hint_text
from autograder.reading.remarks import RefusedForNow, Remarks, listed
from autograder.reading.submission import Refused, Submission, hash_of_file, team_of
from autograder.results import FAILED, Grade, TestResult
from autograder.rubric import Rubric
from autograder.sandbox.sandbox import Sandbox
from autograder.text import visible

TESTS = Path(__file__).with_name("tests")
LOG_BYTES = 100_000
NOT_INSTALLED = re.compile(r"No module named '(?!libs\b)")
FOR_GPU = ("needs_gpu", "made_elsewhere")  # hints of what may be right on a machine with a GPU


class Recorder:
    """A pytest plugin that collects results and hands the examination to the tests."""

    def __init__(self, examination: Examination) -> None:
        self.examination = examination
        self.results: list[TestResult] = []
        self.waiting: dict[str, Any] = {}  # pytest.Item, whose module has a PART

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.waiting = {item.nodeid: item for item in session.items}

    def record(self, result: TestResult | None, item: pytest.Item) -> None:
        """Keep a test's result; None for one that does not apply to this submission."""
        self.waiting.pop(item.nodeid, None)
        if result is not None:
            self.results.append(result)
            if result.outcome == FAILED:
                self.examination.failed.add(result.part)

    def missing(self) -> list[TestResult]:
        """A failed result for each test that should have run and has none."""
        return [
            TestResult(item.module.PART, item.name, FAILED, reason="The test did not run.")
            for item in self.waiting.values()
        ]

    def pytest_configure(self, config: Any) -> None:
        """Give pytest.Config what conftest.py hands to the tests."""
        config.examination = self.examination
        config.record = self.record
        config.option.tbstyle = "native"  # others print arguments, which can take minutes


def judge(
    path: Path,
    rubric: Rubric,
    *,
    sandbox: Sandbox,
    seed: int,
    public: bool = False,
    only: str | None = None,
) -> Grade:
    """Grade a submission. This always returns a Grade, even if the submission misbehaves.

    Args:
        path: a zip or a folder.
        sandbox: a warm one; it serves many submissions one after another.
        seed: of the hidden cases.
        public: run the public cases instead of the hidden ones.
        only: id of the one part to test.

    Raises:
        SandboxError: no worker can be started, or a submission could grade itself.
    """
    start = time.monotonic()
    give_memory_back()
    grade = new_grade(path, seed, public)
    with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as folder:
        # The worker may run as another user, who gets to its own submission and to no other: the
        # name of the folder inside cannot be guessed, nor found by listing.
        Path(folder).chmod(0o711)
        work = Path(folder) / secrets.token_hex(16)
        work.mkdir(0o755)
        results: list[TestResult] = []
        try:
            with examine(path, work, sandbox=sandbox) as examination:
                fill_in(grade, examination.submission, rubric)
                results = run_tests(examination, seed, public, parts_to_test(rubric, only))
                grade.needs_look += filter(None, [examination.without_gpu])
            grade.log = read_log(work / "log.txt")
        except Refused as refusal:
            grade.needs_look.append(f"It could not be read: {refusal}")
            results = all_failed(rubric, "reading", str(refusal), "unreadable")
            if path.is_file() and not isinstance(refusal, RefusedForNow):
                with contextlib.suppress(OSError):
                    grade.sha256 = hash_of_file(path)  # by which --resume recognises it
        except Exception as error:  # a fault of the grader must not end the batch
            text = "".join(traceback.format_exception(error))
            grade.needs_look.append(f"The grader failed on it: {type(error).__name__}: {error}")
            grade.log += f"\nThe grader failed:\n{text}"
    for result in results:
        result.hint = hint_text(result.hint_id)
        if result.hint_id == "grader_failed":
            grade.needs_look.append(f"A test of {result.part} broke down: {result.reason}")
    grade.needs_look += not_judged(results)
    grade.parts = rubric.mark(results, [only] if only else None)
    grade.protections, grade.hole = dict(sandbox.protections), sandbox.hole
    grade.seconds = time.monotonic() - start
    return grade


def new_grade(path: Path, seed: int, public: bool) -> Grade:
    """A grade with what the name of the submission says, whether it can be read or not."""
    remarks = Remarks()
    team, origin = team_of(Path(os.path.abspath(path)), remarks)
    grade = Grade(path.name, team=team, origin=origin, seed=seed, public=public)
    grade.needs_look = listed(remarks.needs_look)
    return grade


def fill_in(grade: Grade, submission: Submission, rubric: Rubric) -> None:
    """Copy what reading the submission showed."""
    grade.sha256, grade.members = submission.sha256, submission.members
    grade.notes, grade.needs_look = list(submission.notes), list(submission.needs_look)
    grade.samples = submission.samples
    if not grade.public:
        grade.deductions, grade.deduction_reasons = rubric.deduct(submission.findings)


def parts_to_test(rubric: Rubric, only: str | None) -> list[str]:
    """The parts whose tests run, in the order of their files' names.

    The tests of parts that the rubric does not have, which are other editions', do not run.
    """
    return [only] if only else sorted(part.id for part in rubric.parts if part.automatic)


def run_tests(
    examination: Examination, seed: int, public: bool, parts: list[str]
) -> list[TestResult]:
    """Run the tests of these parts in this process; returns what they found.

    Parts whose tests pass share one worker, since starting one takes longer than most tests. No
    part fails by what another left behind: one that fails with a worker of an earlier part is
    tested again with its own, and that result counts.
    """
    examination.shares = True
    examination.state.to_come = len(parts)
    try:
        results = run_pytest(examination, seed, public, parts)
        for_gpu = {result.part for result in results if result.hint_id in FOR_GPU}
        again = sorted(for_gpu | examination.reused & examination.failed)
        if again:
            examination.shares = False
            examination.close()
            fresh: dict[str, Any] = {"to_come": len(again), "hangs": 0, "failed": {}}
            fresh["gpu"] = bool(for_gpu)
            if for_gpu:
                fresh["stand_in"] = False
            examination.state = replace(examination.state, **fresh)
            first = [result for result in results if result.part in again]
            results = [result for result in results if result.part not in again]
            results += run_pytest(examination, seed, public, again)
            examination.without_gpu = named_a_gpu(first, results)
    finally:
        examination.close()
    return results


def named_a_gpu(first: list[TestResult], second: list[TestResult]) -> str:
    """What a person should know about parts that named a GPU and were tested on the CPU instead.

    Args:
        first: what their tests found where there was none.
        second: what they found while the worker pretended to have one.
    """
    parts = {result.part for result in first if result.hint_id == "needs_gpu"}
    parts -= {result.part for result in second if result.hint_id == "needs_gpu"}
    if not parts:
        return ""
    names = ", ".join(dict.fromkeys(r.part for r in first if r.part in parts))
    return (
        f"The code names a GPU, and there is none here: {names} ran on the CPU instead. "
        "On a machine with a GPU it may mix tensors of both, which does not show here."
    )


def run_pytest(
    examination: Examination, seed: int, public: bool, parts: list[str]
) -> list[TestResult]:
    """Run the tests of these parts."""
    recorder = Recorder(examination)
    tests = [str(TESTS / f"test_{part}.py") for part in parts]
    # Nobody sees what these do, and some of it takes long.
    without = "cacheprovider terminal logging faulthandler warnings unraisableexception"
    plugins = [f"no:{name}" for name in [*without.split(), "threadexception"]]
    options = ["--capture=no", *(word for name in plugins for word in ("-p", name))]
    options += ["-c", str(TESTS / "pytest.ini"), "--rootdir", str(TESTS), f"--seed={seed}"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = pytest.main([*options, *(["--public"] if public else []), *tests], [recorder])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest ended with {code!r}")
    return recorder.results + recorder.missing()


def not_judged(results: list[TestResult]) -> list[str]:
    """What could not be judged, and why.

    The time ran out, names differ, a package is not installed here, or this Python cannot read a
    file that a newer one may.
    """
    first: dict[str, str] = {}
    for result in results:
        elsewhere = result.hint_id == "missing_package" and NOT_INSTALLED.search(result.reason)
        if elsewhere or result.hint_id in ("too_slow", "unet_other_names", "syntax_error"):
            first.setdefault(result.part, result.reason)
    parts: dict[str, list[str]] = {}
    for part, reason in first.items():
        parts.setdefault(reason, []).append(part)
    return [f"Not judged completely: {', '.join(parts[why])}. {why}" for why in parts]


def all_failed(rubric: Rubric, name: str, reason: str, hint_id: str) -> list[TestResult]:
    """A failed result for each automatic part, for a submission that no test could run on."""
    return [
        TestResult(part.id, name, FAILED, reason=reason, hint_id=hint_id)
        for part in rubric.parts
        if part.automatic
    ]


def read_log(path: Path) -> str:
    """What the submission printed, capped, with control characters made visible."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        text = file.read(LOG_BYTES + 1).decode("utf-8", "replace")
    more = "\n[cut here]" if len(text) > LOG_BYTES else ""
    return visible(text[:LOG_BYTES]) + more

"""Grade one submission: prepare it, run the rubric's tests on it, turn the results into points.

pytest collects the tests once for all submissions of a batch. The tests run in this process, which
is trusted; the submission's code runs in a sandbox (see checks/student.py).
"""

import contextlib
import functools
import gc
import inspect
import io
import itertools
import os
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from autograder.checks.cases import random_of
from autograder.checks.findings import Finding
from autograder.checks.student import RunState, Student
from autograder.examine import Examination, examine, give_memory_back
from autograder.hints import hint_text
from autograder.reading.remarks import RefusedForNow, Remarks, listed
from autograder.reading.submission import (
    Refused,
    Submission,
    hash_of_file,
    team_of,
)
from autograder.reading.work_folder import work_folder
from autograder.results import FAILED, NOT_ATTEMPTED, PASSED, Grade, TestResult
from autograder.rubric import Rubric
from autograder.sandbox.sandbox import Sandbox
from autograder.text import visible

TESTS = Path(__file__).with_name("tests")
LOG_BYTES = 100_000
MUCH = 1 << 23  # bytes received from a worker before memory is given back to the system
NOT_INSTALLED = re.compile(r"No module named '(?!libs\b)")
FOR_GPU = ("needs_gpu", "made_elsewhere")  # hints for code that may be right on a GPU machine


@dataclass(frozen=True)
class RubricTest:
    """One test on one case, as pytest collects it.

    Attributes:
        part, group: the rubric's part, and its group of partial credit, that the test decides.
        name: the test's name with its case, such as "test_chain[odd]".
        title: its docstring.
        place: pytest's node id: file and name.
        given: the values of its parameters, such as "case".
        wanted: the names of all the function's arguments, parameters and fixtures.
    """

    part: str
    group: str
    name: str
    title: str
    place: str
    function: Callable[..., None]
    given: dict[str, Any]
    wanted: tuple[str, ...]


class Collection:
    """A pytest plugin that keeps the collected tests."""

    def __init__(self) -> None:
        self.tests: list[RubricTest] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            function: Any = item.function  # type: ignore[attr-defined]
            group, call = item.get_closest_marker("group"), getattr(item, "callspec", None)
            test = RubricTest(
                item.module.PART,  # type: ignore[attr-defined]
                group.args[0] if group else "",
                item.name,
                " ".join((function.__doc__ or "").split()),
                item.nodeid,
                function,
                dict(call.params) if call else {},
                tuple(inspect.signature(function).parameters),
            )
            self.tests.append(test)


def judge(
    path: Path,
    rubric: Rubric,
    *,
    sandbox: Sandbox,
    seed: int,
    public: bool = False,
    only: tuple[str, ...] = (),
) -> Grade:
    """Grade a submission. This always returns a Grade, even if the submission misbehaves.

    Args:
        path: a zip or a folder.
        sandbox: a started one; it serves many submissions one after another.
        seed: seed of the hidden cases.
        public: run the public cases instead of the hidden ones.
        only: ids of the parts to test; empty for all.

    Raises:
        SandboxError: no worker can be started, or a submission could grade itself.
    """
    start = time.monotonic()
    give_memory_back()
    grade = new_grade(path, seed, public)
    with work_folder() as work:
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
                    grade.sha256 = hash_of_file(path)  # --resume recognises it by this
        except Exception as error:  # a bug in the grader must not end the batch
            text = "".join(traceback.format_exception(error))
            grade.needs_look.append(f"The grader failed on it: {type(error).__name__}: {error}")
            grade.log += f"\nThe grader failed:\n{text}"
    for result in results:
        result.hint = hint_text(result.hint_id)
        if result.hint_id == "grader_failed":
            grade.needs_look.append(f"A test of {result.part} broke down: {result.reason}")
    grade.needs_look += not_judged(results)
    grade.parts = rubric.mark(results, only or None)
    grade.protections, grade.hole = dict(sandbox.protections), sandbox.hole
    grade.seconds = time.monotonic() - start
    return grade


def new_grade(path: Path, seed: int, public: bool) -> Grade:
    """A grade that holds only what the file's name says: team and origin of the hand-in."""
    remarks = Remarks()
    team, origin = team_of(Path(os.path.abspath(path)), remarks)
    grade = Grade(path.name, team=team, origin=origin, seed=seed, public=public)
    grade.needs_look = listed(remarks.needs_look)
    return grade


def fill_in(grade: Grade, submission: Submission, rubric: Rubric) -> None:
    """Copy into the grade what was found while reading the submission."""
    grade.sha256, grade.members = submission.sha256, submission.members
    grade.notes, grade.needs_look = list(submission.notes), list(submission.needs_look)
    grade.samples = submission.samples
    if not grade.public:
        grade.deductions, grade.deduction_reasons = rubric.deduct(submission.findings)


def parts_to_test(rubric: Rubric, only: tuple[str, ...]) -> list[str]:
    """The ids of the parts to test, sorted; `only` if it names any.

    Tests of parts that this rubric does not list, since they belong to other editions, do not run.
    """
    return sorted(only or (part.id for part in rubric.parts if part.automatic))


def run_tests(
    examination: Examination, seed: int, public: bool, parts: list[str]
) -> list[TestResult]:
    """Run the tests of these parts in this process, and return their results.

    Parts share one worker as long as their tests pass, since starting a worker takes longer than
    most tests. No part may fail because of what another one left behind: a part that fails in a
    worker taken over from an earlier part is tested again in a new one, and that result counts.
    """
    tests = collected(tuple(parts), seed, public)
    examination.shares = True
    examination.state.to_come = len(parts)
    try:
        results = run_each(examination, seed, tests)
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
            results += run_each(examination, seed, [t for t in tests if t.part in again])
            examination.without_gpu = named_a_gpu(first, results)
    finally:
        examination.close()
    return results


def named_a_gpu(first: list[TestResult], second: list[TestResult]) -> str:
    """A note for a person on parts whose code names a GPU and ran on the CPU; "" if there are none.

    Args:
        first: results without a GPU.
        second: results of the same tests while the worker pretended to have one.
    """
    parts = {result.part for result in first if result.hint_id == "needs_gpu"}
    parts -= {result.part for result in second if result.hint_id == "needs_gpu"}
    if not parts:
        return ""
    names = ", ".join(dict.fromkeys(r.part for r in first if r.part in parts))
    return (
        f"The code names a GPU, and this machine has none: {names} ran on the CPU instead. "
        "On a GPU machine the code may mix tensors of both devices, which does not show here."
    )


@functools.lru_cache(1)  # a batch has one seed
def collected(parts: tuple[str, ...], seed: int, public: bool) -> list[RubricTest]:
    """The tests of these parts on all their cases, as pytest collects them."""
    collection = Collection()
    files = [str(TESTS / f"test_{part}.py") for part in parts]
    without = "cacheprovider terminal logging faulthandler warnings unraisableexception"
    plugins = [f"no:{name}" for name in [*without.split(), "threadexception"]]
    options = ["--collect-only", *(word for name in plugins for word in ("-p", name))]
    options += ["-c", str(TESTS / "pytest.ini"), "--rootdir", str(TESTS), f"--seed={seed}"]
    options += ["--capture=no", "--public"] if public else ["--capture=no"]
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        mock.patch.dict(os.environ, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),  # those of other packages
    ):
        code = pytest.main([*options, *files], [collection])
    if code != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with {code!r}")
    gc.collect()
    gc.freeze()  # cases and modules stay: the collector need not scan them each time
    return collection.tests


def run_each(examination: Examination, seed: int, tests: list[RubricTest]) -> list[TestResult]:
    """Run the tests, with one view of the submission for each part.

    They are called directly: pytest's own runner takes as long as all of the judge's computations.
    """
    results: list[TestResult] = []
    for part, of_part in itertools.groupby(tests, lambda test: test.part):
        student = examination.student(part)
        try:
            for test in of_part:
                result = run_test(test, student, seed, examination.state)
                if result is not None:
                    results.append(result)
                    if result.outcome == FAILED:
                        examination.failed.add(part)
        finally:
            examination.take_back(student, part)
    return results


def run_test(test: RubricTest, student: Student, seed: int, state: RunState) -> TestResult | None:
    """Run a test; None if it skips itself because it does not apply to this submission."""
    values = {"student": student, **test.given}
    if "random" in test.wanted:
        values["random"] = random_of(seed, test.place)
    result = TestResult(test.part, test.name, PASSED, test.group, title=test.title)
    start = time.perf_counter()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            test.function(**{name: values[name] for name in test.wanted})
    except pytest.skip.Exception:
        return None
    except Finding as finding:
        result.outcome = NOT_ATTEMPTED if finding.not_attempted else FAILED
        result.reason, result.hint_id = finding.reason, finding.hint
        forget(finding, state)
    except Exception as error:
        result.outcome = FAILED
        result.reason = f"The grader itself failed here: {type(error).__name__}: {error}"[:300]
        result.hint_id = "grader_failed"
        forget(error, state)
    result.seconds = time.perf_counter() - start
    return result


def forget(error: BaseException | None, state: RunState) -> None:
    """Release the memory that an error's frames hold.

    An error and its frames refer to each other, so the megabytes that a worker sent would stay in
    memory until Python's cycle collector runs.
    """
    while error is not None:
        error.__traceback__ = None
        if isinstance(error, Finding):
            error.asked = []
        error = error.__context__
    if state.received > MUCH:
        state.received = 0
        gc.collect()
        give_memory_back()


def not_judged(results: list[TestResult]) -> list[str]:
    """Notes for a person on parts that could not be judged completely, with the reason.

    The time ran out, the names differ from the assignment's, a package is not installed here, or
    this Python cannot parse a file that a newer one may.
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

"""pytest's side of the autograder: options, the student under test, and the results.

pytest autograder/tests --submission PATH [--public] [--seed N] [--in-process]
"""

import gc
import secrets
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from autograder.checks.cases import Case, load_goldens
from autograder.checks.findings import Finding
from autograder.checks.student import RunState, Student
from autograder.examine import IS_STARTER, Examination, examine, give_memory_back
from autograder.results import FAILED, NOT_ATTEMPTED, PASSED, TestResult

MUCH = 1 << 23  # bytes


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("autograder")
    group.addoption("--submission", metavar="PATH", help="a zip or folder to grade")
    group.addoption("--public", action="store_true", help="only what students have, too")
    group.addoption("--seed", type=int, help="of the hidden cases; a fresh one by default")
    group.addoption(
        "--in-process",
        action="store_true",
        help="run the submission in pytest's own process, for a debugger; never to grade with",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "configs(name, ...): the only configurations to test")
    config.addinivalue_line("markers", "group(name): the part's group, for partial credit")
    if IS_STARTER:
        config.option.public = True  # there are no other cases
    if config.getoption("seed") is None:
        config.option.seed = secrets.randbelow(2**31)


def pytest_report_header(config: pytest.Config) -> str:
    return "cases: public" if config.getoption("public") else f"cases: seed {config.option.seed}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test the cases of its part."""
    if "case" not in metafunc.fixturenames:
        return
    part = metafunc.module.PART
    cases = [case for case in all_cases(metafunc.config) if case.part == part]
    marker = metafunc.definition.get_closest_marker("configs")
    if marker:
        cases = [case for case in cases if case.config in marker.args]
    metafunc.parametrize("case", cases, ids=[case.config for case in cases])


def all_cases(config: pytest.Config) -> list[Case]:
    """The public cases, or fresh hidden ones; both are made once per process."""
    if IS_STARTER:
        return load_goldens()
    from autograder.hidden.oracles import make_cases
    from autograder.hidden.schedule import with_rates

    if config.getoption("public"):
        return with_rates(load_goldens())  # the losses of older editions need them
    return make_cases(config.option.seed)


@pytest.fixture(scope="session")
def examination(request: pytest.FixtureRequest) -> Iterator[Examination]:
    """The prepared submission with its sandbox: given by the judge, or opened for --submission."""
    given = getattr(request.config, "examination", None)
    if given is not None:
        yield given
        return
    path = request.config.getoption("submission")
    if path is None:
        pytest.skip("needs --submission PATH")
    with (
        tempfile.TemporaryDirectory(prefix="grade-") as work,
        examine(Path(path), Path(work), request.config.getoption("in_process")) as opened,
    ):
        yield opened


@pytest.fixture(scope="module")
def student(request: pytest.FixtureRequest, examination: Examination) -> Iterator[Student]:
    """A view of the submission for the tests of one part; on its own it has a fresh worker."""
    part = request.module.PART
    student = examination.student(part)
    yield student
    examination.take_back(student, part)


@pytest.fixture
def random(request: pytest.FixtureRequest) -> np.random.Generator:
    """A test's own random numbers, the same for the same --seed."""
    test = zlib.crc32(request.node.nodeid.encode())
    return np.random.default_rng([request.config.option.seed, test])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """Show findings as sentences, and hand each result to the judge."""
    outcome = yield
    report = outcome.get_result()
    finding = call.excinfo.value if call.excinfo else None
    if isinstance(finding, Finding):
        report.longrepr = f"{finding.reason} [{finding.hint}]" if finding.hint else finding.reason
    record = getattr(item.config, "record", None)
    if record is not None and (call.when == "call" or finding is not None):
        record(None if report.skipped else result_of(item, finding, call.duration), item)
    if record is not None and finding is not None:
        forget(finding, item.config.examination.state)


def forget(error: BaseException | None, state: RunState) -> None:
    """Release what an error's frames hold.

    Frames and error refer to each other, so that the megabytes of a worker would stay until Python
    looks for such cycles. pytest also keeps the last error.
    """
    sys.last_traceback = None
    while error is not None:
        error.__traceback__, error.asked = None, []
        error = error.__context__
    if state.received > MUCH:
        state.received = 0
        gc.collect()
        give_memory_back()


def result_of(item: pytest.Item, error: BaseException | None, seconds: float) -> TestResult:
    """The record of one test."""
    part = item.module.PART
    group = item.get_closest_marker("group")
    result = TestResult(part, item.name, PASSED, group.args[0] if group else "", seconds=seconds)
    result.title = " ".join((item.function.__doc__ or "").split())
    if isinstance(error, Finding):
        result.outcome = NOT_ATTEMPTED if error.not_attempted else FAILED
        result.reason, result.hint_id = error.reason, error.hint
    elif error is not None:
        result.outcome = FAILED
        result.reason = f"The grader itself failed here: {type(error).__name__}: {error}"[:300]
        result.hint_id = "grader_failed"
    return result

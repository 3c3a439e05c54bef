"""pytest's side of the autograder: its options, the cases, and the student under test.

pytest autograder/tests --submission PATH [--public] [--seed N] [--in-process]
"""

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from autograder.checks.cases import Case, load_goldens, random_of
from autograder.checks.findings import Finding
from autograder.checks.student import Student
from autograder.examine import IS_STARTER, Examination, examine
from autograder.reading.work_folder import work_folder


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("autograder")
    group.addoption("--submission", metavar="PATH", help="a zip or folder to grade")
    group.addoption(
        "--public", action="store_true", help="run the public tests, which students have"
    )
    group.addoption("--seed", type=int, help="seed of the hidden cases; a fresh one by default")
    group.addoption(
        "--in-process",
        action="store_true",
        help="run the submission in pytest's own process, for a debugger; never use it to grade",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "configs(name, ...): test only these configurations")
    config.addinivalue_line("markers", "group(name): the part's group, for partial credit")
    if IS_STARTER:
        config.option.public = True  # a starter has no other cases
    if config.getoption("seed") is None:
        config.option.seed = secrets.randbelow(2**31)


def pytest_report_header(config: pytest.Config) -> str:
    return "cases: public" if config.getoption("public") else f"cases: seed {config.option.seed}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize each test with the cases of its part."""
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
    """The submission that --submission names, prepared, with its sandbox."""
    path = request.config.getoption("submission")
    if path is None:
        pytest.skip("needs --submission PATH")
    with (
        work_folder() as work,
        examine(Path(path), work, request.config.getoption("in_process")) as opened,
    ):
        yield opened


@pytest.fixture(scope="module")
def student(request: pytest.FixtureRequest, examination: Examination) -> Iterator[Student]:
    """A view of the submission for the tests of one part."""
    part = request.module.PART
    student = examination.student(part)
    yield student
    examination.take_back(student, part)


@pytest.fixture
def random(request: pytest.FixtureRequest) -> np.random.Generator:
    """A test's own random numbers, the same for the same --seed."""
    return random_of(request.config.option.seed, request.node.nodeid)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """Report a Finding as its sentence instead of a traceback."""
    outcome = yield
    report = outcome.get_result()
    finding = call.excinfo.value if call.excinfo else None
    if isinstance(finding, Finding):
        report.longrepr = f"{finding.reason} [{finding.hint}]" if finding.hint else finding.reason

"""The rooms of autograder/ and instructor/: each uses those below it, as docs/layout.md draws them,
and what goes out runs without hidden/."""

import ast
import graphlib

import pytest

from helpers.imports import arrows, modules, room, top_of, upward

# From the ground up
ROOMS = "text documents hints results late rubric sandbox worker reading checks hidden".split()
ROOMS += "examine tests judge batch course output extras grade".split()
COMMANDS = "release scorecard contest goldens figures".split()
INSTRUCTORS = ["cutting", "submissions", "mutants", "measuring", "contests", *COMMANDS]
# Where a starter goes without: these import it only where it is there.
OPTIONAL = {("tests", "hidden"), ("grade", "extras")}
MOST_LINES = 60  # of a function
BOTH = pytest.mark.parametrize(
    ("package", "rooms"), [("autograder", ROOMS), ("instructor", INSTRUCTORS)]
)


@pytest.fixture(scope="module", autouse=True)
def _forget():
    """A tree is many objects, which garbage collection in the tests of other files would visit."""
    yield
    modules.cache_clear()


@BOTH
def test_no_room_imports_from_above(package, rooms):
    """Protects: a reader of one room needs to know those below it alone."""
    assert not upward(package, rooms)


@BOTH
def test_no_circle(package, rooms):
    """No module needs itself by way of others."""
    graphlib.TopologicalSorter(arrows(package)).prepare()  # raises CycleError, which names them


def test_what_students_have_runs_without_what_they_do_not_have():
    """Protects: the starter's grader. It has no hidden/ and no extras/."""
    missing = {"hidden", "extras"}
    needs = {
        (room(name), room(other))
        for name, others in arrows("autograder").items()
        for other in others
        if room(other) in missing and room(name) not in missing
    }
    assert needs == OPTIONAL
    at_once = {
        name: {other for other in others if room(other) in missing}
        for name, others in arrows("autograder", "at_once").items()
        if room(name) not in missing
    }
    assert not any(at_once.values())


@BOTH
def test_the_top_stays_as_it_is(package, rooms):
    """What is new joins a room: the top holds commands, the judge, and what all of them need."""
    files, folders = top_of(package)
    assert files | folders == set(rooms)
    assert len(files) <= 10


def test_nothing_imports_the_instructors_tools():
    """Protects: a kit without instructor/, such as a starter, a bundle for Gradescope."""
    for name, tree in modules("autograder").items():
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not any(room(node.module) == "instructor" for node in imports), name


def test_sandbox_and_worker_know_nothing_of_the_grader():
    """Protects: a worker, which runs student code, is forked from what these import."""
    for home, needed in (("sandbox", {"sandbox"}), ("worker", {"sandbox", "worker"})):
        inside = [others for name, others in arrows("autograder").items() if room(name) == home]
        assert {room(other) for others in inside for other in others} == needed


@BOTH
def test_functions_fit_on_a_screen(package, rooms):
    """Of the grader, its tests included, and of the instructors' tools."""
    for name, tree in modules(package).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                lines = node.end_lineno - node.lineno + 1
                assert lines <= MOST_LINES, f"{name}: {node.name} has {lines} lines"

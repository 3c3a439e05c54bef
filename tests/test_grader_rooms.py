"""The rooms of the autograder: each uses those below it, and what goes out runs without hidden/."""

import ast
import graphlib
from functools import cache

import pytest

from helpers.files import ROOT

GRADER = ROOT / "autograder"
# From the ground up; docs/layout.md draws them.
ROOMS = "text documents hints results late rubric sandbox reading checks hidden".split()
ROOMS += "examine tests judge batch course output extras grade".split()
FLOOR = {room: floor for floor, room in enumerate(ROOMS)}
# Where a starter goes without: these import it only where it is there.
OPTIONAL = {("tests", "hidden"), ("grade", "extras")}
MOST_LINES = 60  # of a function
FORMER_KIT = GRADER / "reading" / "former_kit"  # files for submissions, which the grader never runs


@cache
def modules() -> dict[str, ast.Module]:
    """All modules of the grader by their dotted names below `autograder`."""
    found = {}
    for path in GRADER.rglob("*.py"):
        if FORMER_KIT not in path.parents:
            parts = path.relative_to(GRADER).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__init__")
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports_in(nodes: list[ast.AST], known: set[str]) -> set[str]:
    """The grader's modules that these statements import."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: imports name the whole path"
            package, _, source = node.module.partition(".")
            if package == "autograder":
                inside = {f"{source}.{alias.name}".lstrip(".") for alias in node.names} & known
                found |= inside or {source}
        elif isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "autograder" for alias in node.names)
    return found


@cache
def arrows(when: str = "ever") -> dict[str, set[str]]:
    """What each module imports: ever, or already when it is imported itself (`at_once`)."""
    found = modules()
    nodes = {
        name: list(ast.walk(tree)) if when == "ever" else statements(tree)
        for name, tree in found.items()
    }
    return {name: imports_in(nodes[name], set(found)) for name in found if name}


def statements(tree: ast.Module) -> list[ast.AST]:
    """All that runs on import: what is in no function."""
    waiting, found = [tree], []
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


def room(name: str) -> str:
    return name.split(".")[0]


@pytest.fixture(scope="module", autouse=True)
def _forget():
    """A tree is many objects, which garbage collection in the tests of other files would visit."""
    yield
    modules.cache_clear()


def test_no_room_imports_from_above():
    """Protects: a reader of one room needs to know those below it alone."""
    up = [
        f"{name} imports {other}"
        for name, others in arrows().items()
        for other in others
        if FLOOR[room(other)] > FLOOR[room(name)]
    ]
    assert not up


def test_no_circle():
    """No module needs itself by way of others."""
    graphlib.TopologicalSorter(arrows()).prepare()  # raises CycleError, which names them


def test_what_students_have_runs_without_what_they_do_not_have():
    """Protects: the starter's grader. It has no hidden/ and no extras/."""
    missing = {"hidden", "extras"}
    needs = {
        (room(name), room(other))
        for name, others in arrows().items()
        for other in others
        if room(other) in missing and room(name) not in missing
    }
    assert needs == OPTIONAL
    at_once = {
        name: {other for other in others if room(other) in missing}
        for name, others in arrows("at_once").items()
        if room(name) not in missing
    }
    assert not any(at_once.values())


def test_top_of_the_grader_stays_as_it_is():
    """What is new joins a room: the top holds the command, the judge, and what all of them need."""
    files = {path.stem for path in GRADER.glob("*.py")} - {"__init__"}
    folders = {path.name for path in GRADER.iterdir() if any(path.glob("*.py"))}
    assert files | folders == set(ROOMS)
    assert len(files) <= 10


def test_the_sandbox_knows_nothing_of_the_grader():
    """Protects: a worker, which runs student code, is forked from what these import."""
    inside = {name: others for name, others in arrows().items() if room(name) == "sandbox"}
    assert {room(other) for others in inside.values() for other in others} == {"sandbox"}


def test_functions_fit_on_a_screen():
    """Of the grader, its tests included, and of the scripts in instructor/."""
    scripts = {
        path.name: ast.parse(path.read_text(encoding="utf-8"))
        for path in (ROOT / "instructor").glob("*.py")
    }
    for name, tree in {**modules(), **scripts}.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                lines = node.end_lineno - node.lineno + 1
                assert lines <= MOST_LINES, f"{name}: {node.name} has {lines} lines"

"""The rooms of code/libs: each uses what stands below it, and a new file goes into one of them."""

import ast
import graphlib
from functools import cache
from pathlib import Path

import pytest

from helpers.files import ROOT

LIBS = ROOT / "code" / "libs"
CORE = "utils weights schedules blocks unet tiny_autoencoder latent_space ddpm"  # in reading order
# From the ground up; what a line names together is one room. docs/layout.md draws them.
ROOMS = [
    *CORE.split(),
    *("ddim", "edm", "fm", "stable_diffusion"),
    "runtime",
    "page",
    "config settings",
    "datasets data",
    *("autoencoders", "models", "text", "samplers", "metrics"),
    *("doctor", "training", "text_to_image", "play"),
]
MOST_LINES = 60  # of a function
LONGEST_CHAIN = 9  # of modules that import each other
ADD_FLAGS = {"runtime.cli", "samplers.edit_flags", "samplers.flags", "text_to_image.flags"}
FLOOR = {name: floor for floor, room in enumerate(ROOMS) for name in room.split()}


def modules() -> dict[str, Path]:
    """All modules of libs by their dotted names; that of a package is its own."""
    named = {path.relative_to(LIBS).with_suffix("").parts: path for path in LIBS.rglob("*.py")}
    return {".".join(p for p in parts if p != "__init__"): path for parts, path in named.items()}


def imports_of(name: str, path: Path, known: set[str]) -> set[str]:
    """The modules of libs that a module imports, inside functions too."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(parsed()[name]):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = package[: len(package) - node.level + 1]
            source = ".".join([*above, *(node.module or "").split(".")]).rstrip(".")
            inside = {f"{source}.{alias.name}".lstrip(".") for alias in node.names} & known
            found |= inside or {source}
    return found


@cache
def parsed() -> dict[str, ast.Module]:
    """All modules of libs as syntax trees."""
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in modules().items()}


@cache
def arrows() -> dict[str, set[str]]:
    """What each module imports."""
    found = modules()
    return {name: imports_of(name, path, set(found)) for name, path in found.items() if name}


@pytest.fixture(scope="module", autouse=True)
def _forget():
    """A tree is many objects, which garbage collection in the tests of other files would visit."""
    yield
    parsed.cache_clear()


def test_no_room_imports_from_above():
    """Protects: a reader of one room needs to know those below it alone."""
    floors = {name: FLOOR[name.split(".")[0]] for name in arrows()}
    up = [
        f"{name} imports {other}"
        for name, others in arrows().items()
        for other in others
        if floors[other] > floors[name]
    ]
    assert not up


def test_no_circle():
    """No module needs itself by way of others."""
    graphlib.TopologicalSorter(arrows()).prepare()  # raises CycleError, which names them


def test_chains_of_imports_stay_short():
    """Whoever reads one module to the ground meets few floors: what is far below is handed in."""
    known, floors = arrows(), {}
    for name in graphlib.TopologicalSorter(known).static_order():
        floors[name] = 1 + max((floors[other] for other in known[name]), default=0)
    highest = max(floors, key=floors.get)
    assert floors[highest] <= LONGEST_CHAIN, highest


def test_top_of_libs_stays_as_it_is():
    """What is new joins a room: the top holds the model, the bonus parts, and what a run says."""
    files = {path.stem for path in LIBS.glob("*.py")}
    assert files == {"__init__", *FLOOR} - {p.name for p in LIBS.iterdir() if p.is_dir()}
    folders = {path.name for path in LIBS.iterdir() if any(path.glob("*.py"))}
    assert folders == FLOOR.keys() - files


def test_few_files_are_behind_the_model():
    """Whoever reads ddpm.py and unet.py to the ground reads these."""
    needed, waiting, known = set(), ["ddpm", "unet"], arrows()
    while waiting:
        name = waiting.pop()
        needed.add(name)
        waiting += known[name] - needed
    assert needed == set(CORE.split())


def test_flags_end_in_the_scripts():
    """What libs get of flags are records: argparse is for adding flags, a Namespace for nobody."""
    for name, tree in parsed().items():
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert "Namespace" not in names, name
        assert "argparse" not in names or name in ADD_FLAGS


def test_kinds_of_models_are_told_apart_in_tables():
    """A new kind of model is an entry in two tables: no function asks what kind it was given."""
    for name, tree in parsed().items():
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "isinstance":
                asked = {node.id for node in ast.walk(call.args[1]) if isinstance(node, ast.Name)}
                assert not asked & {"DDPM", "EDM", "FM"}, name


def test_functions_fit_on_a_screen():
    """A function that is longer has a part that deserves a name."""
    scripts = {path.stem: ast.parse(path.read_text()) for path in LIBS.parent.glob("*.py")}
    for name, tree in (parsed() | scripts).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                lines = node.end_lineno - node.lineno + 1
                assert lines <= MOST_LINES, f"{name}.{node.name} has {lines} lines"

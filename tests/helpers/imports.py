"""Which modules of a package import each other, read from their text."""

import ast
from functools import cache

from helpers.files import ROOT

# Files for submissions, which nothing here imports.
LEFT_OUT = ("autograder/reading/former_kit", "instructor/scenarios", "instructor/starter")


@cache
def modules(package: str) -> dict[str, ast.Module]:
    """All modules of a package at the repository's top by their dotted names below it."""
    found = {}
    for path in (ROOT / package).rglob("*.py"):
        if path.relative_to(ROOT).as_posix().startswith(LEFT_OUT):
            continue
        parts = path.relative_to(ROOT / package).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports_in(nodes: list[ast.AST], package: str, known: set[str]) -> set[str]:
    """The modules of the package that these statements import."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: imports name the whole path"
            top, _, source = node.module.partition(".")
            if top == package:
                inside = {f"{source}.{alias.name}".lstrip(".") for alias in node.names} & known
                found |= inside or {source}
        elif isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == package for alias in node.names)
    return found - {""}


@cache
def arrows(package: str, when: str = "ever") -> dict[str, set[str]]:
    """What each module imports: ever, or already when it is imported itself (`at_once`)."""
    found = modules(package)
    nodes = {
        name: list(ast.walk(tree)) if when == "ever" else statements(tree)
        for name, tree in found.items()
    }
    return {name: imports_in(nodes[name], package, set(found)) for name in found if name}


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
    """The room that a module is in, or its own name at the top."""
    return name.split(".")[0]


def upward(package: str, rooms: list[str]) -> list[str]:
    """The imports that go up, of rooms in their order from the ground."""
    floor = {room: floor for floor, room in enumerate(rooms)}
    return [
        f"{name} imports {other}"
        for name, others in arrows(package).items()
        for other in others
        if floor[room(other)] > floor[room(name)]
    ]


def top_of(package: str) -> tuple[set[str], set[str]]:
    """The files at the top of a package, and the folders there that hold modules."""
    files = {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"}
    return files, {room(name) for name in modules(package) if name} - files

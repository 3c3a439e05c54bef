"""The tests as a book: each file and test says what it is for, and no file needs another."""

import ast
from functools import cache
from pathlib import Path

import pytest

from helpers.files import ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.glob("test_*.py"))


@cache
def trees() -> dict[Path, ast.Module]:
    """The test files as syntax trees."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


@pytest.fixture(scope="module", autouse=True)
def _forget():
    """A tree is many objects, which garbage collection in the tests of other files would visit."""
    yield
    trees.cache_clear()


def test_no_test_file_is_imported():
    """What two files need is in helpers/, and fixtures of all are in conftest.py."""
    helpers = {path: ast.parse(path.read_text("utf-8")) for path in TESTS.glob("helpers/**/*.py")}
    names = {"conftest", *(path.stem for path in FILES)}
    for path, tree in {**trees(), **helpers}.items():
        imported = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
        assert not imported & names, path


def test_a_test_file_says_what_it_tests():
    """Its docstring is a sentence, and no file's name is another's in the plural."""
    for path, tree in trees().items():
        docstring = ast.get_docstring(tree) or ""
        assert docstring.partition("\n\n")[0].endswith((".", "?")), path
        assert not path.with_name(f"{path.stem}s.py").exists()


def test_every_test_says_what_it_protects():
    """A name alone does not say why a test is there: its docstring does."""
    silent = [
        f"{path.name}: {node.name}"
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent

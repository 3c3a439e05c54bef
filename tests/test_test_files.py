"""The tests as a book: each file says what it tests, and none needs another."""

import ast

import pytest

from helpers.files import ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.glob("test_*.py"))


@pytest.mark.parametrize("path", [*FILES, *TESTS.glob("helpers/**/*.py")], ids=lambda p: p.stem)
def test_no_test_file_is_imported(path):
    """What two files need is in helpers/, and fixtures of all are in conftest.py."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert imported & {"conftest", *(other.stem for other in FILES)} == set()


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_test_file_says_what_it_tests(path):
    """Its docstring is a sentence, and no file's name is another's in the plural."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring.partition("\n\n")[0].endswith((".", "?"))
    assert not path.with_name(f"{path.stem}s.py").exists()

"""Scripts without a package that they need: one sentence with what to do, exit code 2."""

import contextlib
import sys
from collections.abc import Iterator

import pytest

from helpers.files import ROOT
from helpers.scripts import call_program

BENCHMARKS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "benchmarks").glob("*.py")
    if "__main__" in path.read_text(encoding="utf-8")
)
OURS = ("autograder", "instructor", "libs", "kit", "counting", "peers")
PACKAGES = {"jinja2": "Jinja2", "yaml": "PyYAML"}  # by the name of their module


@contextlib.contextmanager
def without(packages: list[str]) -> Iterator[None]:
    """Packages cannot be imported meanwhile, and nothing of ours is imported yet."""
    hidden = (*OURS, *packages)

    def taken() -> dict:
        names = [name for name in sys.modules if name.partition(".")[0] in hidden]
        return {name: sys.modules.pop(name) for name in names}

    kept = taken()
    sys.modules.update(dict.fromkeys(packages))  # None: importing raises ModuleNotFoundError
    try:
        yield
    finally:
        taken()
        sys.modules.update(kept)


def run_without(packages: list[str], script: str, *args: str) -> tuple[int, str]:
    """Exit code and errors of a script where these packages cannot be imported."""
    with without(packages):
        done = call_program(script, *args)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("script", "package"),
    [("autograder/grade.py", name) for name in ("jinja2", "numpy", "pytest", "torch", "yaml")]
    + [("instructor/scorecard.py", name) for name in ("numpy", "pytest", "torch", "yaml")]
    + [("instructor/goldens.py", "numpy"), ("autograder/extras/gradescope/bundle.py", "yaml")],
)
def test_the_grader_names_the_package_that_is_missing(script, package):
    """Whichever package is missing first, there is one line with its name on pip."""
    code, errors = run_without([package], script, ".")
    assert code == 2, errors
    assert errors.startswith(f"error: the package {PACKAGES.get(package, package)} is ")
    assert "requirements.txt" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("package", ["numpy", "torch", "yaml"])
@pytest.mark.parametrize("script", BENCHMARKS)
def test_benchmarks_name_the_package_that_is_missing(script, package):
    """So do the benchmarks, also when they are only asked for help."""
    code, errors = run_without([package], script, "--help")
    assert code == 2, errors
    assert errors.startswith(f"error: the package {package} is not installed")
    assert errors.count("\n") == 1


def test_packing_needs_no_package():
    """Students hand in with Python alone."""
    packages = ["jinja2", "numpy", "pytest", "torch", "yaml"]
    code, errors = run_without(packages, "zip_submission.py", "--help")
    assert (code, errors) == (0, "")


def test_a_fault_in_a_file_of_ours_is_no_missing_package():
    """A module of the kit that cannot be found is a bug and keeps its traceback."""

    from autograder.text import not_installed

    fault = ModuleNotFoundError("No module named 'autograder.gone'", name="autograder.gone")
    with pytest.raises(ModuleNotFoundError, match="gone"):
        not_installed(fault)

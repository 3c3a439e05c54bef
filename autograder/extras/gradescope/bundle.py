"""Build the bundle for Gradescope.

    python autograder/extras/gradescope/bundle.py --out autograder.zip

With --rubric FILE, the rubric of an edition's starter, the bundle grades that edition. Upload it
to a programming assignment under "Configure Autograder", with a container of at least 1 CPU and
3 GB of memory. It holds the hidden tests, but no solution: grading needs none.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from autograder.output.ending import run_command  # noqa: E402
from autograder.text import InputError, not_installed, number, visible, write_bytes  # noqa: E402

try:
    from autograder.output.zips import zipped
    from autograder.reading.program import GRADED, HELPERS, imports_of
    from autograder.rubric import Rubric, load_rubric
except ImportError as error:
    print(f"error: {not_installed(error)}", file=sys.stderr)
    sys.exit(2)

FOLDER = "autograder/extras/gradescope"
BY_NAME = ("setup.sh", "run_autograder")  # Gradescope looks for them at the top of the zip


def bundle(root: Path = ROOT, rubric: Path | None = None) -> dict[str, bytes]:
    """The files of the bundle: content by name in the zip.

    Args:
        root: the repository.
        rubric: a rubric that replaces autograder/rubric.yaml.

    Raises:
        InputError: the rubric has mistakes.
        OSError: a file cannot be read.
    """
    # bash cannot read Windows line ends, which a checkout there may have
    files = {name: (root / FOLDER / name).read_bytes().replace(b"\r", b"") for name in BY_NAME}
    others = [root / "requirements.txt", root / "zip_submission.py"]  # the grader imports it
    others += helpers(root / "code" / "libs")
    for path in (root / "autograder").rglob("*"):
        name = path.relative_to(root)
        is_cache = any(part.startswith((".", "__pycache__")) for part in name.parts)
        if path.is_file() and not is_cache and path.name not in BY_NAME:
            others.append(path)
    for path in others:
        files[path.relative_to(root).as_posix()] = path.read_bytes()
    if rubric:
        load_rubric(rubric)  # so that mistakes show now
        files["autograder/rubric.yaml"] = rubric.read_bytes()
    return files


def helpers(libs: Path) -> list[Path]:
    """The modules that submissions get from the kit if they lack them; never the graded ones."""
    found: dict[str, Path] = {}
    waiting = list(HELPERS)
    while waiting:
        name = waiting.pop()
        if name in found or f"{name}.py" in GRADED:
            continue
        found[name] = libs / f"{name}.py"
        waiting += [module for module, _ in imports_of(found[name].read_text(encoding="utf-8"))]
    return list(found.values())


def points_to_set(rubric: Rubric) -> str:
    """What to enter in the assignment's settings on Gradescope, one sentence.

    Points above the autograder's maximum are extra credit there, which suits the bonus parts.
    """
    tests = sum(part.by_tests for part in rubric.parts if not part.bonus)
    hand = sum(part.by_hand for part in rubric.parts if not part.bonus)
    bonus = sum(part.by_tests for part in rubric.parts if part.bonus)
    return (
        f"Set on Gradescope: autograder points {number(tests)} (bonus parts may add up to "
        f"{number(bonus)}), and manual grading with {number(hand)} points for the report"
    )


def main() -> int:
    """Build and write; returns the exit code."""
    parser = argparse.ArgumentParser(description="Build the autograder bundle for Gradescope.")
    parser.add_argument("--out", type=Path, default=Path("autograder.zip"), metavar="FILE")
    parser.add_argument(
        "--rubric", type=Path, metavar="FILE", help="the rubric of an edition's starter"
    )
    args = parser.parse_args()
    out = args.out
    try:
        files = bundle(rubric=args.rubric)
        out.parent.resolve(strict=True)  # a folder that is not there may be a slip
        write_bytes(out, zipped(files, executable=BY_NAME))
    except InputError as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {out} was not written: {error}", file=sys.stderr)
        return 2
    print(f"{out}: {len(files)} files, {out.stat().st_size / 1e3:.0f} kB")
    print(points_to_set(load_rubric(args.rubric) if args.rubric else load_rubric()))
    return 0


if __name__ == "__main__":
    run_command(main)

"""`--similarity`: finds submissions that are suspiciously similar, without the starter's lines.

copydetect compares the code's structure and ignores names, strings and comments, so renaming hides
nothing. Right solutions of the same small task are similar, too: a pair is a reason to read both,
not a verdict.
"""

import contextlib
import io
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autograder.course.tables import as_csv, cell
from autograder.output.pages import render
from autograder.reading.submission import Refused, names_of, open_submission
from autograder.reading.work_folder import work_folder
from autograder.text import InputError, write_text

KIT_CODE = Path(__file__).resolve().parents[2] / "code"
PAGE = Path(__file__).with_name("similarity.html")
SHORTEST = 30  # characters in a row, with each name as one; shorter matches are chance
SUSPICIOUS = 0.5  # share of one side's own code that is also in the other's
LONGEST = 200_000  # characters of a submission's own code that are compared
SIDE_BY_SIDE = 30  # number of pairs whose code is shown


@dataclass(frozen=True)
class Line:
    """A line of a submission that is not in the starter."""

    file: str
    number: int
    text: str


@dataclass(frozen=True)
class Pair:
    """Two similar submissions."""

    first: str
    second: str
    share_of_first: float  # of its own code that is also in the second, 0 to 1
    share_of_second: float
    same_lines: int  # own lines that are identical in both, except for indentation
    matches: tuple[frozenset[int], frozenset[int]]  # positions in both lists of own lines


def starter_lines(kit_code: Path) -> set[str]:
    """The lines of the kit's Python files, without indentation and without its solutions."""
    found: set[str] = set()
    for file in sorted(kit_code.rglob("*.py")):
        in_solution = False
        for line in file.read_text(encoding="utf-8").splitlines():
            line = line.strip()
            in_solution = in_solution or line.startswith("# BEGIN SOLUTION")
            in_solution = in_solution and line != "# END SOLUTION"
            if not in_solution:
                found.add(line)
    return found


def own_lines(code_folder: Path, starter: set[str]) -> list[Line]:
    """A submission's Python lines that are neither empty, nor stubs, nor the starter's."""
    lines: list[Line] = []
    left = LONGEST
    for file in sorted(code_folder.rglob("*.py")):
        if not file.is_file() or file.is_symlink():
            continue
        with file.open("rb") as stream:
            text = stream.read(4 * LONGEST).decode(errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            bare = line.strip()
            if bare and bare not in starter and not bare.startswith("raise NotImplementedError"):
                left -= len(line) + 1
                if left < 0:
                    return lines
                lines.append(Line(file.relative_to(code_folder).as_posix(), number, line))
    return lines


def find_pairs(own: dict[str, list[Line]]) -> list[Pair]:
    """The suspicious pairs, most similar first.

    Args:
        own: the own lines of each submission, by its name.

    Raises:
        InputError: copydetect is not installed.
    """
    try:
        from copydetect import CodeFingerprint, compare_files
    except ImportError as error:
        raise InputError(
            "--similarity needs copydetect, which is not installed; install it with: "
            "python -m pip install -r requirements/grade.txt"
        ) from error
    prints = {}
    for name, lines in own.items():
        source = io.StringIO("".join(f"{line.text}\n" for line in lines))
        # a window of 1 keeps every match; with more, chance decides which ones are found
        found = CodeFingerprint("code.py", SHORTEST, 1, language="python", fp=source)
        if len(found.hashes):
            # copydetect's count of skipped characters restarts after a class, which shifts lines
            found.offsets[:, 1] = np.maximum.accumulate(found.offsets[:, 1])
            prints[name] = found
    pairs = []
    for (first, a), (second, b) in itertools.combinations(sorted(prints.items()), 2):
        # the exact comparison is slow, and only needed if much is shared
        if len(a.hashes & b.hashes) < SUSPICIOUS / 2 * min(len(a.hashes), len(b.hashes)):
            continue
        _, shares, slices = compare_files(a, b)
        if max(shares) >= SUSPICIOUS:
            matches = (_lines_of(own[first], slices[0]), _lines_of(own[second], slices[1]))
            letters = [{line.text.strip() for line in own[name]} for name in (first, second)]
            same_lines = len(letters[0] & letters[1])
            of_first, of_second = (min(1.0, float(share)) for share in shares)
            pairs.append(Pair(first, second, of_first, of_second, same_lines, matches))
    return sorted(pairs, key=lambda pair: (-max(_shares(pair)), -pair.same_lines))


def _shares(pair: Pair) -> tuple[float, float]:
    return pair.share_of_first, pair.share_of_second


def _lines_of(lines: list[Line], slices: Any) -> frozenset[int]:
    """Positions of the lines that the slices, [2, N], of their joined text touch."""
    ends = np.cumsum([len(line.text) + 1 for line in lines])
    found: set[int] = set()
    for start, end in zip(*np.asarray(slices, dtype=int), strict=True):
        first, last = np.searchsorted(ends, [start, max(start, end - 1)], side="right")
        found.update(range(int(first), min(int(last) + 1, len(lines))))
    return frozenset(found)


def write_similarity(
    paths: list[Path],
    folder: Path,
    kit_code: Path = KIT_CODE,
    names: Mapping[Path, str] | None = None,
) -> list[Pair]:
    """Write similarity.html, and all pairs to similarity.csv; returns them.

    Args:
        paths: zips and submission folders; those that cannot be read are left out.
        folder: the folder of results.
        kit_code: the kit's own code, whose lines are the starter's.
        names: of the submissions, as results call them; by default those of `names_of`.

    Raises:
        InputError: copydetect is not installed.
    """
    names = names or names_of(paths)
    starter = starter_lines(kit_code)
    own: dict[str, list[Line]] = {}
    for path in paths:
        with work_folder() as work, contextlib.suppress(Refused):
            code = open_submission(path, work / "submission", kit_code).code_folder
            own[names[path]] = own_lines(code, starter)
    pairs = find_pairs(own)
    rows = [["first", "second", "share_of_first", "share_of_second", "same_lines"]]
    for pair in pairs:
        shares = [f"{share:.2f}" for share in _shares(pair)]
        rows.append([cell(pair.first), cell(pair.second), *shares, str(pair.same_lines)])
    write_text(folder / "similarity.csv", as_csv(rows))
    page = render(
        PAGE,
        pairs=[(pair, _sides(pair, own)) for pair in pairs],
        shown=SIDE_BY_SIDE,
        number_of_submissions=len(own),
        left_out=sorted({names[path] for path in paths} - set(own)),
        threshold=SUSPICIOUS,
    )
    write_text(folder / "similarity.html", page)
    return pairs


def _sides(pair: Pair, own: dict[str, list[Line]]) -> list[tuple[str, list[tuple[Line, bool]]]]:
    """For both sides, the name, and each own line with whether the other side has it."""
    names = (pair.first, pair.second)
    return [
        (name, [(line, position in matched) for position, line in enumerate(own[name])])
        for name, matched in zip(names, pair.matches, strict=True)
    ]

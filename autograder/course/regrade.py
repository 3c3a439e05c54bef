"""Grading again after the grader changed: which submissions to retest, and what changed."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.course.tables import as_csv, cell
from autograder.results import NOT_ATTEMPTED, Grade, PartResult
from autograder.rubric import Rubric
from autograder.text import InputError, did_you_mean, number, one_line, write_text

CHANGES_FILE = "changes.csv"
SHOWN = 40  # most changes printed in the terminal
# A remark of the judge on tests, and the parts that it names.
ON_TESTS = re.compile(r"(?:A test of|Not judged completely:) (\w+(?:, \w+)*)")


@dataclass(frozen=True)
class Change:
    """What changed in one part of one submission: points, tests, hint."""

    submission: str
    part: str
    before: float  # the tests' points
    after: float
    tests: tuple[str, ...]  # those that changed: "test_mean[mnist]: failed, now passed"
    hint_before: str = ""  # ids
    hint_after: str = ""

    def __str__(self) -> str:
        hints = ""
        if self.hint_before != self.hint_after:
            hints = f"; hint {self.hint_before or 'none'}, now {self.hint_after or 'none'}"
        more = f", and {len(self.tests) - 2} more" if len(self.tests) > 2 else ""
        why = "; ".join(self.tests[:2]) + more
        points = f"{number(self.before)} to {number(self.after)}"
        return f"{self.submission}: {self.part} {points} ({why or 'the same tests'}{hints})"


def compare(old: Iterable[Grade], new: Iterable[Grade]) -> list[Change]:
    """The parts whose test results changed, in the order of `new`.

    Args:
        old, new: the grader's own results, without points that people gave.
    """
    before = {grade.submission: grade for grade in old}
    changes = []
    for grade in new:
        if grade.submission not in before:
            continue
        was = {part.id: part for part in before[grade.submission].parts}
        for part in grade.parts:
            if part.points is not None and part.id in was and was[part.id].points is not None:
                change = _compare(grade.submission, was[part.id], part)
                if change:
                    changes.append(change)
    return changes


def _compare(submission: str, old: PartResult, new: PartResult) -> Change | None:
    outcomes = {test.name: test.outcome for test in old.tests}
    tests = [
        f"{test.name}: {outcomes.get(test.name, 'not there')}, now {test.outcome}"
        for test in new.tests
        if outcomes.get(test.name, "") != test.outcome
    ]
    gone = set(outcomes) - {test.name for test in new.tests}
    tests += [f"{name}: {outcomes[name]}, now not there" for name in sorted(gone)]
    points = old.points or 0.0, new.points or 0.0
    found = Change(submission, new.id, *points, tuple(tests), old.hint_id, new.hint_id)
    same = found.before == found.after and old.hint_id == new.hint_id and not tests
    return None if same else found


def write_changes(changes: list[Change], folder: Path) -> None:
    """Write changes.csv, a row for each change."""
    rows = [["submission", "part", "before", "after", "tests", "hint_before", "hint_after"]]
    for one in changes:
        texts = ["; ".join(one.tests), one.hint_before, one.hint_after]
        points = [number(one.before), number(one.after)]
        rows.append([cell(one.submission), one.part, *points, *map(cell, texts)])
    write_text(folder / CHANGES_FILE, as_csv(rows))


def in_words(changes: list[Change], old: list[Grade], new: list[Grade]) -> list[str]:
    """Lines for the terminal: how many gained and lost points, then the first changes."""
    gain: dict[str, float] = defaultdict(float)
    for one in changes:
        gain[one.submission] += one.after - one.before
    both = {grade.submission for grade in old} & {grade.submission for grade in new}
    gained = sum(points > 0 for points in gain.values())
    lost = sum(points < 0 for points in gain.values())
    lines = [f"{gained} gained, {lost} lost, {len(both) - gained - lost} as before"]
    lines += [one_line(str(one)) for one in changes[:SHOWN]]
    if len(changes) > SHOWN:
        lines.append(f"and {len(changes) - SHOWN} more in {CHANGES_FILE}")
    only_old = len(old) - len(both)
    only_new = len(new) - len(both)
    if only_old or only_new:
        lines.append(f"{only_old} only in the old results, {only_new} only in the new")
    return lines


def concerned(
    stored: Iterable[Grade], part: str | None, hint: str | None, among: Collection[str]
) -> dict[str, set[str]]:
    """The submissions to retest, each with the ids of the parts to test.

    Args:
        stored: earlier results.
        part: a part whose tests changed: selects all who attempted it.
        hint: the id of a hint: selects all who got it.
        among: names of the submissions that are there.

    Raises:
        InputError: nobody is selected, or none of those that are there.
    """
    found: dict[str, set[str]] = {}
    known = set()
    for grade in stored:
        for one in grade.parts:
            ids = {one.hint_id, *(test.hint_id for test in one.tests)} - {""}
            known |= ids
            fits_part = part in (None, one.id) and (not part or one.status != NOT_ATTEMPTED)
            if fits_part and (hint is None or hint in ids):
                found.setdefault(grade.submission, set()).add(one.id)
    if hint and hint not in known:
        raise InputError(
            f"--hint: nobody got '{one_line(hint)}'{did_you_mean(hint, known)}; index.html lists "
            "the hints that were given"
        )
    flag, what = ("hint", "got this hint") if hint else ("part", f"attempted {part}")
    what += f" in {part}" if hint and part else ""
    if not found:
        raise InputError(f"--{flag}: nobody {what}; nothing to do")
    if not found.keys() & set(among):
        raise InputError(f"--{flag}: none of these submissions {what}; {one_line(min(found))} did")
    return found


def retested(before: Grade, now: Grade, ids: Collection[str]) -> Grade:
    """The earlier grade with these parts, and the remarks on their tests, from the later one."""
    tested = {part.id: part for part in now.parts if part.id in ids}
    kept = [text for text in before.needs_look if not _parts_in(text) or _parts_in(text) - set(ids)]
    new = [text for text in now.needs_look if _parts_in(text) & set(ids) and text not in kept]
    parts = [tested.get(part.id, part) for part in before.parts]
    return replace(before, parts=parts, needs_look=kept + new)


def _parts_in(remark: str) -> set[str]:
    match = ON_TESTS.match(remark)
    return set(match[1].split(", ")) if match else set()


def check_rubric(stored: Iterable[Grade], rubric: Rubric, folder: Path) -> None:
    """Check that stored results were graded with this rubric's parts and points.

    Raises:
        InputError: they were not, so that their points would be added up wrongly.
    """
    worth = {part.id: (part.by_tests or part.points, part.human) for part in rubric.parts}
    for grade in stored:
        found = {part.id: (part.max_points, part.human) for part in grade.parts}
        differing = [name for name in found if found[name] != worth.get(name)]
        if len(found) > 1:  # not graded with --only
            differing += [name for name in worth if name not in found]
        if differing:
            points = (number(sum(parts.get(differing[0], (0,)))) for parts in (found, worth))
            raise InputError(
                "{}: {} was graded with another rubric: {} is worth {} there, and {} in {}; name "
                "that rubric with --rubric, or grade all submissions again".format(
                    folder, one_line(grade.submission), differing[0], *points, rubric.path
                )
            )

"""The texts that go out with the starter: blocks, placeholders, and the rubric for students."""

import itertools
import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from autograder.documents import read_yaml
from autograder.rubric import Part
from autograder.text import InputError, did_you_mean, number

from instructor import ROOT
from instructor.cutting.editions import SHOWN, Edition, known_parts, shown

COURSE = ROOT / "instructor" / "course.yaml"
PLACEHOLDER = re.compile(r"\{\{(?P<name>\w+)(?P<parts>(?: \w+)*)\}\}")
# A block of a text for students, on lines of its own: shown if one of its parts is asked for, or,
# after "without", if none is; outside of ABOUT_TASKS it is enough that a part is given. Of GROUPS,
# `code` is any part of the core with code, and `bonus` any bonus part; PART.curve is what an
# experiment has to show.
BLOCK = re.compile(
    r" *(?:<!--|%) (?P<what>BEGIN|END)(?P<no> without)?(?P<ids>(?: [a-z][\w.]*)+)(?: -->)?"
)
PRIVATE = re.compile(r"<!-- BEGIN INSTRUCTORS -->\n.*?<!-- END INSTRUCTORS -->\n+", re.DOTALL)
ABOUT_TASKS = ("docs/assignment.md", "writeup/", "instructor/starter/")  # other texts explain code
NOTEBOOK = "notebooks/walkthrough.ipynb"  # what the badge opens
REPOSITORY = re.compile(r"[\w-]+/[\w.-]+")
ASK = "ask your instructor"  # what the texts say in place of a value that is missing
ANSWER = "Your answer here."
# The parts in the order in which training on the digits meets them: id, function, file.
FIRST_MET = [("compute_loss", "compute_loss", "ddpm"), ("q_sample", "q_sample", "ddpm")]
FIRST_MET += [("unet", "forward", "unet"), ("p_sample_loop", "p_sample_loop", "ddpm")]
FIRST_MET += [("p_sample", "p_sample", "ddpm")]
GROUPS = ("code", "bonus")


@dataclass(frozen=True)
class Course:
    """What only the instructor knows; None where the texts tell students to ask."""

    course: str | None = None  # its name and term
    due: str | None = None
    where: str | None = None  # where the zip goes
    contact: str | None = None
    repository: str | None = None  # OWNER/NAME on GitHub, where students find the starter

    @property
    def missing(self) -> list[str]:
        """What the texts tell students to ask for. Without a repository they have no badge."""
        names = [field.name for field in fields(self) if getattr(self, field.name) is None]
        return [name for name in names if name != "repository"]


def read_course(path: Path) -> Course:
    """Read the course's own values.

    Raises:
        InputError: the file is missing or no mapping, or a key or a value is wrong.
    """
    known = [field.name for field in fields(Course)]
    values = read_yaml(path) or {}
    if not isinstance(values, dict):
        raise InputError(f"{path} must have the keys {', '.join(known)}")
    for key, value in values.items():
        if key not in known:
            hint = did_you_mean(str(key), known) or f"; known are {', '.join(known)}"
            raise InputError(f"{path}: unknown key '{key}'{hint}")
        if value is not None and not (isinstance(value, str) and value.strip()):
            raise InputError(f'{path}: {key} must be text in quotes, such as {key}: "..."')
        if key == "repository" and value is not None and not REPOSITORY.fullmatch(value):
            raise InputError(f"{path}: repository must be OWNER/NAME on GitHub, found '{value}'")
    return Course(**values)


class Values:
    """What the placeholders of the students' texts are replaced by.

    Args:
        course: the course's own values.
        edition: which parts are asked for, and what they are worth.
        requirements: the text of requirements.txt, for the versions of packages.
    """

    def __init__(self, course: Course, edition: Edition, requirements: str = "") -> None:
        self.edition = edition
        self.known = dict(re.findall(r"(?m)^(\w+)==(\S+)", requirements))
        self.known |= {f.name: getattr(course, f.name) or ASK for f in fields(Course)}
        self.known |= {"rubric": rubric_section(edition.parts), "core": number(edition.core)}
        self.known |= {"title": edition.title, "colab": colab_badge(course.repository)}
        self.known |= {"total": self._total(), "code": self._code()}
        self.known["first"] = self._first()
        self.known |= {"each_bonus": self._each_bonus(), "bonus_share": self._bonus_share()}
        self.functions: dict[str, Callable[[list[str], bool], str]] = {
            "points": lambda ids, tex: number(edition.worth(*ids)),
            "worth": lambda ids, tex: shown(edition.worth(*ids)),
            "list": lambda ids, tex: ", ".join(self._listed(ids, tex)),
            "both": lambda ids, tex: " and ".join(self._listed(ids, tex)),
            "config": lambda ids, tex: self._config(*ids),
            "questions": lambda ids, tex: self._questions(),
            "answers": lambda ids, tex: self._answers(tex),
        }

    def fill_in(self, text: str, file: str) -> str:
        """The text with its placeholders filled in; in a .tex file as LaTeX.

        Raises:
            InputError: there is no such placeholder, or it names no part.
        """

        def value(found: re.Match) -> str:
            name, ids = found["name"], found["parts"].split()
            names, place = [*self.known, *self.functions], line_of(text, found.start())
            if name not in names or (ids and name in self.known):
                hint = did_you_mean(name, names) or f"; known are {', '.join(names)}"
                raise InputError(f"{file}, line {place}: unknown placeholder {found[0]}{hint}")
            check_ids(ids, f"{file}, line {place}")
            if name in self.known:
                return self.known[name]
            return self.functions[name](ids, file.endswith(".tex"))

        return PLACEHOLDER.sub(value, text)

    def _first(self) -> str:
        """What training on the digits says of the first part to fill in."""
        for part_id, function, file in FIRST_MET:
            if part_id in self.edition.asked:
                return f"{function} is not implemented yet: code/libs/{file}.py, line ..."
        return ""

    def _total(self) -> str:
        """All points, for the assignment's head."""
        core, bonus = number(self.edition.core), self.edition.bonus
        return f"{core}, and up to {number(bonus)} bonus points" if bonus else core

    def _code(self) -> str:
        """The points of the core's code, and who gives them."""
        parts = [p for p in self.edition.parts if not p.bonus and not known_parts()[p.id].report]
        points, by_tests = sum(p.points for p in parts), sum(p.by_tests for p in parts)
        if by_tests == points:
            return f"{shown(points)}, graded automatically"
        return f"{shown(points)}, {number(by_tests)} of them graded automatically"

    def _each_bonus(self) -> str:
        """What a bonus part is worth, or, where they differ, all of them together."""
        points = {part.points for part in self.edition.parts if part.bonus}
        total = f"up to {shown(self.edition.bonus)}"
        return f"{shown(points.pop())} each" if len(points) == 1 else total

    def _bonus_share(self) -> str:
        """What tests and a person give for a bonus part."""
        shares = {(p.by_tests, p.by_hand) for p in self.edition.parts if p.bonus}
        if len(shares) != 1 or not all(min(shares)):
            return "its points by tests of the code and by a person"
        ((tests, person),) = shares
        return f"{shown(tests)} by tests of the code and {number(person)} by a person"

    def _listed(self, ids: list[str], tex: bool) -> list[str]:
        """Those of the parts that are asked for, as code."""
        found = [part_id for part_id in ids if part_id in self.edition.asked]
        if tex:
            found = [r"\texttt{" + part_id.replace("_", r"\_") + "}" for part_id in found]
        return found if tex else [f"`{part_id}`" for part_id in found]

    def _config(self, part_id: str) -> str:
        """The config of an experiment."""
        found = [each.config for each in self.edition.experiments if each.part == part_id]
        return found[0] if found else ""

    def _questions(self) -> str:
        """The questions about the UNet as a list."""
        return "\n".join(f"{n}. {text}" for n, text in enumerate(self.edition.questions, 1))

    def _answers(self, tex: bool) -> str:
        """The questions about the UNet as a list with places for answers."""
        questions = self.edition.questions
        if tex:
            return "\n".join(f"  \\item {text}\n\n  {ANSWER}" for text in questions)
        listed = (f"{n}. {text}\n\n   {ANSWER}" for n, text in enumerate(questions, 1))
        return "\n\n".join(listed)


def colab_badge(repository: str | None) -> str:
    """A badge that opens the notebook of a GitHub repository in Colab; "" without one."""
    if repository is None:
        return ""
    colab = "https://colab.research.google.com"
    address = f"{colab}/github/{repository}/blob/main/{NOTEBOOK}"
    return f"[![Open in Colab]({colab}/assets/colab-badge.svg)]({address})"


def line_of(text: str, at: int) -> int:
    """The line of a place in a text."""
    return text.count("\n", 0, at) + 1


def check_ids(ids: Collection[str], where: str) -> None:
    """Raise an InputError unless all of these are parts."""
    parts = known_parts()
    for name in ids:
        part, _, thing = name.partition(".")
        known = part in GROUPS if not thing and part in GROUPS else part in parts
        if not known or (thing and thing not in SHOWN):
            hint = did_you_mean(part, [*parts, *GROUPS]) or f"; the parts are {', '.join(parts)}"
            raise InputError(f"{where}: there is no part '{name}'{hint}")


def blocks_of(text: str, file: str, edition: Edition) -> str:
    """A text without the blocks about what the edition does not ask for, and without their marks.

    Raises:
        InputError: marks do not pair, or name no part; with the line.
    """
    kept: list[str] = []
    open_: list[tuple[str, int, bool]] = []  # words, line, and whether the block shows
    there = edition.asked.keys() | edition.shown
    about_tasks = file.startswith(ABOUT_TASKS)
    there |= {p for p in edition.given if known_parts()[p].helper or not about_tasks}
    there |= {
        "bonus" if p.bonus else "code" for p in edition.parts if not known_parts()[p.id].report
    }
    for number_, line in enumerate(text.splitlines(keepends=True), 1):
        found = BLOCK.fullmatch(line.rstrip("\n"))
        if found is None:
            kept += [line] * all(shows for _, _, shows in open_)
            continue
        where, words = f"{file}, line {number_}", f"{found['no'] or ''}{found['ids']}".strip()
        if found["what"] == "BEGIN":
            ids = found["ids"].split()
            check_ids(ids, where)
            open_.append((words, number_, bool(there & set(ids)) != bool(found["no"])))
        elif not open_ or open_.pop()[0] != words:
            raise InputError(f"{where}: this ends no block that begins above it")
    if open_:
        raise InputError(f"{file}, line {open_[-1][1]}: the block '{open_[-1][0]}' does not end")
    return "".join(kept)


def for_students(text: str, file: str, values: Values) -> str:
    """A text as students get it: without the instructors' regions and what is not asked for, its
    placeholders filled in.

    Raises:
        InputError: a placeholder or a part that is not known, or a region that does not end.
    """
    text = PRIVATE.sub("", text)
    if "<!-- BEGIN INSTRUCTORS -->" in text or "<!-- END INSTRUCTORS -->" in text:
        raise InputError(f"{file}: a region for instructors does not begin or end on its own line")
    text = blocks_of(text, file, values.edition)
    # a paragraph that comes to nothing leaves no gap
    text = re.sub(
        r"(?m)^\{\{(\w+)\}\}\n+", lambda m: m[0] if values.known.get(m[1], m[0]) else "", text
    )
    return values.fill_in(text, file)


def notebook_for_students(text: str, file: str, values: Values) -> str:
    """A notebook whose texts are as `for_students` gives them, its sections numbered without a gap.

    The tags of a cell name the parts that it needs: it goes out if all of them are there.

    Raises:
        InputError: as `for_students` does, or for a tag that is no part.
    """
    notebook = json.loads(text)
    there = values.edition.asked.keys() | values.edition.given
    cells, sections = [], itertools.count(1)
    for cell in notebook["cells"]:
        needs = cell.get("metadata", {}).pop("tags", [])
        check_ids(needs, f"{file}, cell {cell.get('id')}")
        if not there.issuperset(needs):
            continue
        if cell["cell_type"] == "markdown":
            source = for_students("".join(cell["source"]), file, values)
            source = re.sub(r"(?m)^## \d+\. ", lambda _: f"## {next(sections)}. ", source)
            cell["source"] = source.splitlines(keepends=True)
        cells.append(cell)
    return json.dumps(notebook | {"cells": cells}, indent=1, ensure_ascii=False) + "\n"


def renumbered(text: str, level: str) -> tuple[str, dict[str, str]]:
    """A text whose headings of a level, such as "###", are numbered from 1 without a gap.

    Returns:
        The text, and the new number of each heading by its old one.
    """
    numbers: dict[str, str] = {}

    def heading(found: re.Match) -> str:
        numbers[found[1]] = str(len(numbers) + 1)
        return f"{level} {numbers[found[1]]}. "

    return re.sub(rf"(?m)^{level} (\d+)\. ", heading, text), numbers


def rubric_section(parts: Collection[Part]) -> str:
    """The rubric for students: a table of all parts, then what the points of each depend on."""
    rows = ["| part | points | by tests | by a person |", "| --- | ---: | ---: | ---: |"]
    for part in parts:
        points = (part.points, part.by_tests, part.by_hand)
        cells = [number(value) if value else "" for value in points]
        rows.append(f"| {' | '.join([part.title, *cells])} |")
    return "\n".join([*rows, "", *_details(parts)])


def _details(parts: Collection[Part]) -> Iterator[str]:
    for part in parts:
        if not (part.look_for or part.credit):
            continue
        yield f"- **{part.title}**"
        if part.credit:
            shares = [f"{n} {number(share * part.by_tests)}" for n, share in part.credit.items()]
            yield f"  - tests: {', '.join(shares)}"
        for line in part.look_for:
            yield f"  - {' '.join(line.split())}"

"""Editions: which parts a course asks for, what each is worth, and what its texts say.

An edition is a file of about 30 lines in instructor/editions/. What cutting and grading have to
know of the parts themselves is in parts.yaml beside this file and in autograder/rubric.yaml.
"""

import json
import math
import re
import textwrap
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from autograder.documents import NUMBER, key_problems, read_with_lines, read_yaml
from autograder.rubric import Part, Rubric, load_rubric
from autograder.text import InputError, did_you_mean, number

from instructor import ROOT

EDITIONS = ROOT / "instructor" / "editions"
PARTS = Path(__file__).with_name("parts.yaml")
CHANGES = Path(__file__).with_name("changes")
CONFIGS = ROOT / "configs"
DEFAULT, FULL = "fall2024", "full"
STUB, GIVEN, ABSENT = STATES = ("stub", "given", "absent")
SHOWN = ("curve", "samples", "fid")  # what an experiment may ask to show
# What the code calls something, and the other names that it may have; the grader knows the chain by
# both of its names.
OTHER_NAMES = {"p_sample_loop": ("generate",), "model_name": ("model_type",)}
REQUIRED = {"title": str, "term": str, "points": dict, "parts": list}
OPTIONAL = {"questions": list, "experiments": list, "names": dict, "configs": dict}
OPTIONAL["changes"] = list
OF_A_PART = {"id": str, "points": NUMBER, "as": str, "look_for": list}
OF_AN_EXPERIMENT = {"part": str, "config": str, "show": list}
WORTH = re.compile(r"(?P<quote>\"?)(?P<points>[\d.]+) points?: ")


@dataclass(frozen=True)
class Facts:
    """What cutting a starter has to know of a part; see parts.yaml."""

    needs: tuple[str, ...] = ()
    always: bool = False
    report: bool = False
    helper: bool = False
    shared: bool = False
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """A run that the report has to show."""

    part: str
    config: str  # a name in configs/, without its ending
    show: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A place of a file that is another one in some editions; see changes/."""

    source: Path
    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Edition:
    """What a course asks for.

    Attributes:
        path: of the edition's file.
        title: what the assignment is called.
        term: when it is given, such as "fall 2024".
        parts: those to be done, in the order of the rubric, with this edition's points.
        given: ids of the parts whose solutions are handed out.
        questions: of the report, about the UNet.
        experiments: of the report.
        names: what the code calls something, and this edition's name for it.
        configs: names in configs/, and this edition's names for them.
        changes: of the code and its texts.
    """

    path: Path
    title: str
    term: str
    parts: tuple[Part, ...]
    given: frozenset[str]
    questions: tuple[str, ...]
    experiments: tuple[Experiment, ...]
    names: dict[str, str]
    configs: dict[str, str]
    changes: tuple[Change, ...]

    @cached_property
    def asked(self) -> dict[str, Part]:
        """The parts to be done by their ids."""
        return {part.id: part for part in self.parts}

    @property
    def shown(self) -> set[str]:
        """What the report has to show, as "PART.THING"."""
        return {f"{each.part}.{thing}" for each in self.experiments for thing in each.show}

    def worth(self, *ids: str) -> float:
        """The points of these parts together; what is not asked for has none."""
        return sum(self.asked[part_id].points for part_id in ids if part_id in self.asked)

    @property
    def solved(self) -> set[str]:
        """The parts whose solutions go out: given ones, and absent ones that other code needs."""
        needed = {part for part in self.absent if known_parts()[part].shared}
        return needed | self.given

    @property
    def absent(self) -> set[str]:
        """The parts that are neither asked for nor given."""
        return known_parts().keys() - self.asked.keys() - self.given

    @cached_property
    def left_out(self) -> set[str]:
        """Files that do not go out: those of absent parts, and tests of what is not asked for."""
        parts = known_parts()
        kept = {file for part in parts.keys() - self.absent for file in parts[part].files}
        tests = parts.keys() - self.asked.keys()
        found = {f"autograder/tests/test_{part}.py" for part in tests}
        return found | {file for part in self.absent for file in parts[part].files} - kept

    @property
    def core(self) -> float:
        """The points of all parts that are not a bonus."""
        return sum(part.points for part in self.parts if not part.bonus)

    @property
    def bonus(self) -> float:
        """The bonus points."""
        return sum(part.points for part in self.parts if part.bonus)


@cache
def known_parts() -> dict[str, Facts]:
    """The facts of all parts, by their ids."""

    def facts_of(values: dict[str, Any]) -> Facts:
        lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        return Facts(**(values | lists))

    return {part_id: facts_of(values) for part_id, values in read_yaml(PARTS).items()}


def names() -> list[str]:
    """The editions that come with the kit."""
    return sorted(path.stem for path in EDITIONS.glob("*.yaml"))


def find_edition(name: str) -> Path:
    """The file of an edition, by its name or its path.

    Raises:
        InputError: there is neither.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.parent != Path():
        return path
    if name not in names():
        listed = ", ".join(names())
        hint = did_you_mean(name, names())
        raise InputError(f"there is no edition '{name}'{hint}; choose {listed}, or name a file")
    return EDITIONS / f"{name}.yaml"


@cache
def default_edition() -> Edition:
    """The edition that is cut if none is named."""
    return read_edition(find_edition(DEFAULT))


def read_edition(path: Path) -> Edition:
    """Read and check an edition.

    Raises:
        InputError: with a sentence for each problem, each with file and line.
    """
    return _Reader(path).read()


class _Reader:
    """Reads an edition, and collects what is wrong with it, so that all can be mended at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values, self.lines = read_with_lines(path)
        self.library = {part.id: part for part in all_parts(load_rubric())}
        self.facts = known_parts()
        self.found: list[tuple[int, str]] = []

    def add(self, way: tuple[str | int, ...], problem: str) -> None:
        """Note a problem of the value at the end of this way."""
        while way not in self.lines and way:
            way = way[:-1]
        self.found.append((self.lines.get(way, 1), problem))

    def place(self, part_id: str) -> tuple[str | int, ...]:
        """The way to a part of the list, or to the list if the part is not in it."""
        ids = [entry["id"] for entry in self.values["parts"]]
        return ("parts", ids.index(part_id)) if part_id in ids else ("parts",)

    def stop(self) -> None:
        """Raise what is wrong so far."""
        if self.found:
            found = dict.fromkeys(sorted(self.found))
            raise InputError("\n".join(f"{self.path}, line {n}: {text}" for n, text in found))

    def read(self) -> Edition:
        self.check_keys((), self.values, REQUIRED, OPTIONAL)
        self.stop()
        values = self.values
        states = self.states(values["parts"])
        parts = [
            self.part(n, entry)
            for n, entry in enumerate(values["parts"])
            if isinstance(entry, dict)
            and isinstance(entry.get("id"), str)
            and states.get(entry.get("id")) == STUB
            and entry["id"] in self.library
        ]
        self.stop()
        self.check_states(states)
        self.check_sums(parts)
        asked = {part.id for part in parts}
        experiments = self.experiments(values.get("experiments") or [], asked)
        self.check_questions(values.get("questions") or [], asked)
        for key in ("names", "configs"):
            self.check_names(key, values.get(key) or {})
        changes = self.changes(values.get("changes") or [])
        self.stop()
        names = values.get("names") or {}
        parts = [replace(part, name=names.get(part.id, "")) for part in parts]
        return Edition(
            self.path,
            values["title"],
            values["term"],
            tuple(parts),
            frozenset(part_id for part_id, state in states.items() if state == GIVEN),
            tuple(values.get("questions") or ()),
            experiments,
            names,
            values.get("configs") or {},
            changes,
        )

    def check_keys(
        self, way: tuple, values: Any, required: dict[str, Any], optional: dict[str, Any]
    ) -> bool:
        """Whether the value is a mapping of these keys, with values of these types."""
        if not isinstance(values, dict):
            self.add(way, f"must be a mapping with the keys {', '.join(required)}")
            return False
        found = list(key_problems(values, required, optional, may_be_empty=True))
        for key, problem in found:
            self.add((*way, key), f"{key}: {problem}")
        return not found

    def states(self, entries: list) -> dict[str, str]:
        """Stub, given or absent for each part that is listed, by its id."""
        states: dict[str, str] = {}
        first: dict[str, int] = {}
        optional = {key: kind for key, kind in OF_A_PART.items() if key != "id"}
        for n, entry in enumerate(entries):
            way = ("parts", n)
            if not self.check_keys(way, entry, {"id": str}, optional):
                continue
            part_id, state = entry["id"], entry.get("as", STUB)
            if part_id not in self.facts:
                hint = did_you_mean(part_id, self.facts)
                hint = hint or f"; the parts are {', '.join(self.facts)}"
                self.add(way, f"there is no part '{part_id}'{hint}")
                continue
            if part_id in states:
                line = self.lines["parts", first[part_id]]
                self.add(way, f"{part_id} is listed in line {line} already")
                continue
            if state not in STATES:
                hint = did_you_mean(state, STATES)
                self.add((*way, "as"), f"'as' must be stub, given or absent, not '{state}'{hint}")
            elif state != STUB and ("points" in entry or "look_for" in entry):
                self.add(way, f"{part_id} is {state}, so it has neither points nor look_for")
            elif state == GIVEN and self.facts[part_id].report:
                self.add(way, f"{part_id} is a question of the report, and cannot be given")
            elif state == STUB and self.facts[part_id].helper:
                self.add(way, f"{part_id} is helper code and no task; say as: given")
            states[part_id], first[part_id] = state, n
        return states

    def part(self, n: int, entry: dict) -> Part:
        """A part with this edition's points; those of its lines and of a person go with them."""
        part, way = self.library[entry["id"]], ("parts", n)
        points = entry.get("points", part.points)
        if not (0 < points < math.inf):
            self.add((*way, "points"), f"the points of {part.id} must be above 0, not {points}")
            return part
        part = priced(part, points)
        if "look_for" in entry:
            lines = entry["look_for"]
            if not all(isinstance(line, str) and WORTH.match(line) for line in lines) or not lines:
                text = "each line of 'look_for' begins with what it earns, such as '1 point: '"
                self.add((*way, "look_for"), text)
                return part
            earned = sum(float(WORTH.match(line)["points"]) for line in lines)
            if not math.isclose(earned, part.by_hand, abs_tol=1e-6):
                self.add(
                    (*way, "look_for"),
                    f"the lines of {part.id} come to {number(earned)}, but a person gives "
                    f"{number(part.by_hand)}",
                )
            part = replace(part, look_for=tuple(lines))
        return part

    def check_states(self, states: dict[str, str]) -> None:
        """What must not be absent is there."""
        there = {part_id for part_id, state in states.items() if state != ABSENT}
        for part_id, facts in self.facts.items():
            if facts.always and part_id not in there:
                why = "training on the digits needs it; list it, as: given if it is not a task"
                self.add(self.place(part_id), f"{part_id} is absent, but {why}")
        for part_id in there:
            for need in self.facts[part_id].needs:
                if need not in there:
                    self.add(self.place(part_id), f"{part_id} needs {need}, which is absent")
        code = [p for p, state in states.items() if state == STUB and not self.facts[p].report]
        if not code:
            self.add(("parts",), "no part is a stub, so there is nothing to write")

    def check_sums(self, parts: Collection[Part]) -> None:
        """The stated points are those of the parts."""
        stated = self.values["points"]
        kinds = {"core": NUMBER, "bonus": NUMBER}
        if not self.check_keys(("points",), stated, {}, kinds):
            return
        for kind in kinds:
            found = sum(part.points for part in parts if part.bonus == (kind == "bonus"))
            if not math.isclose(found, stated.get(kind, 0), abs_tol=1e-6):
                text = f"{kind} is {number(stated.get(kind, 0))}, but the points of these parts"
                self.add(("points", kind), f"{text} add up to {number(found)}")

    def experiments(self, entries: list, asked: set[str]) -> tuple[Experiment, ...]:
        """The experiments, one for each question of the report that is about a run."""
        found: list[Experiment] = []
        wanted = {p for p in asked if self.facts[p].report and p != "report_unet"}
        for n, entry in enumerate(entries):
            way = ("experiments", n)
            if not self.check_keys(way, entry, OF_AN_EXPERIMENT, {}):
                continue
            part, config = entry["part"], entry["config"]
            if part not in wanted:
                self.add((*way, "part"), f"'{part}' is not a question of this report about a run")
            elif part in [each.part for each in found]:
                self.add((*way, "part"), f"{part} has an experiment already")
            known = [path.stem for path in CONFIGS.glob("*.yaml")]
            if config not in known:
                hint = did_you_mean(config, known)
                self.add((*way, "config"), f"there is no configs/{config}.yaml{hint}")
            for thing in entry["show"]:
                if thing not in SHOWN:
                    hint = did_you_mean(str(thing), SHOWN) or f"; choose {', '.join(SHOWN)}"
                    self.add((*way, "show"), f"unknown thing to show '{thing}'{hint}")
            found.append(Experiment(part, config, tuple(map(str, entry["show"]))))
        for part in sorted(wanted - {each.part for each in found}):
            self.add(self.place(part), f"{part} is asked, but no experiment names it")
        return tuple(found)

    def check_questions(self, questions: list, asked: set[str]) -> None:
        """There are questions if the UNet is asked about, and only then."""
        if ("report_unet" in asked) != bool(questions):
            if questions:
                self.add(("questions",), "there are questions, but report_unet is not asked")
            else:
                text = "report_unet is asked, but there are no questions"
                self.add(self.place("report_unet"), text)
        for n, question in enumerate(questions):
            if not isinstance(question, str) or not question.strip():
                self.add(("questions", n), "a question is text; put it in quotes if it has a colon")

    def check_names(self, key: str, chosen: dict[str, Any]) -> None:
        """Other names are known ones, and no two things get the same."""
        taken: dict[str, str] = {}
        configs = [path.stem for path in CONFIGS.glob("*.yaml")]
        known = OTHER_NAMES if key == "names" else configs
        for old, new in chosen.items():
            way = (key, old)
            if old not in known:
                hint = did_you_mean(old, known) or f"; known are {', '.join(known)}"
                self.add(way, f"{key}: there is nothing called '{old}'{hint}")
            elif key == "names" and new not in OTHER_NAMES[old]:
                choices = ", ".join(OTHER_NAMES[old])
                self.add(way, f"{old} can be called {choices}, not '{new}'")
            elif key == "configs" and not re.fullmatch(r"[a-z][a-z0-9_]*", str(new)):
                self.add(way, f"'{new}' cannot name a config: use small letters, digits and _")
            elif new in taken:
                self.add(way, f"{taken[new]} and {old} would both be called {new}")
            elif key == "configs" and new in configs and new not in chosen:
                self.add(way, f"{old} would be called {new}, and there is configs/{new}.yaml")
            taken[str(new)] = old

    def changes(self, chosen: list) -> tuple[Change, ...]:
        """The places that the chosen changes replace."""
        known = sorted(path.stem for path in CHANGES.glob("*.yaml"))
        found: list[Change] = []
        for n, name in enumerate(chosen):
            if name not in known:
                hint = did_you_mean(str(name), known) or f"; known are {', '.join(known)}"
                self.add(("changes", n), f"there is no change '{name}'{hint}")
                continue
            path = CHANGES / f"{name}.yaml"
            found += [Change(path, **place) for place in read_yaml(path)]
        return tuple(found)


def all_parts(rubric: Rubric) -> tuple[Part, ...]:
    """All parts that grading knows, of this and of other editions."""
    return (*rubric.parts, *rubric.others)


def rubric_of_all_parts() -> Rubric:
    """The rubric of the edition that asks for every part."""
    full = read_edition(find_edition(FULL))
    return replace(load_rubric(), parts=full.parts, others=(), core=full.core, bonus=full.bonus)


def priced(part: Part, points: float) -> Part:
    """A part at other points: a person's share, and what each line earns, change alike."""
    scale = points / part.points
    lines = tuple(_scaled(line, scale) for line in part.look_for)
    return replace(part, points=points, human=part.human * scale, look_for=lines)


def _scaled(text: str, scale: float) -> str:
    """A line of `look_for` with its points multiplied."""

    def earned(found: re.Match) -> str:
        return f"{found['quote']}{shown(float(found['points']) * scale)}: "

    return WORTH.sub(earned, text, count=1)


def shown(points: float) -> str:
    """Points in words: "1 point", "0.5 points"."""
    return f"{number(points)} point" + ("" if points == 1 else "s")


def rubric_text(edition: Edition, library: str) -> str:
    """The rubric of an edition as YAML, made of the library's blocks; they keep their comments."""
    head, *blocks = re.split(
        r"(?m)^(?=  - id: )", re.sub(r"(?m)(?:^#.*\n)*^others:\n", "", library)
    )
    by_id = {re.match(r"  - id: (\w+)", block)[1]: block.rstrip() + "\n" for block in blocks}
    parts = {part.id: part for part in all_parts(load_rubric())}
    points = f"points: {{core: {number(edition.core)}, bonus: {number(edition.bonus)}}}"
    head = re.sub(r"(?m)^points: .*$", points, head)
    head = re.sub(r"(?m)^assignment: .*$", f"assignment: {_quoted(edition.title)}", head)
    chosen = [by_id[p.id] if p == parts[p.id] else _block(p) for p in edition.parts]
    return head + "\n".join(chosen)


def _block(part: Part) -> str:
    """A part as YAML."""
    lines = [f"- id: {part.id}", f"  title: {_quoted(part.title)}"]
    lines += [f"  points: {number(part.points)}", f"  automatic: {str(part.automatic).lower()}"]
    lines += [f"  human: {number(part.human)}"] if part.human else []
    lines += [f"  name: {part.name}"] if part.name else []
    lines += ["  bonus: true"] if part.bonus else []
    lines += [f"  task: {_quoted(part.task)}"]
    if part.credit:
        shares = ", ".join(f"{group}: {number(share)}" for group, share in part.credit.items())
        lines += [f"  credit: {{{shares}}}"]
    lines += ["  look_for:"] if part.look_for else []
    for text in part.look_for:
        first, *more = textwrap.wrap(
            json.dumps(text, ensure_ascii=False), 92, break_on_hyphens=False
        )
        lines += [f"    - {first}", *(f"      {line}" for line in more)]
    return "".join(f"  {line}\n" for line in lines)


def _quoted(text: str) -> str:
    """Text as YAML, in quotes where it needs them."""
    plain = re.fullmatch(r"[A-Za-z0-9][\w '.,()-]*", text)
    return text if plain else json.dumps(text, ensure_ascii=False)

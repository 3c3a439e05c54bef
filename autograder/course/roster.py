"""Who is in the course: `--roster FILE`, exported from Canvas, Moodle or Gradescope, or plain CSV.

The columns are found by their headings:

- Canvas, Grades > Export: Student, ID, SIS User ID, SIS Login ID, Section. ID is the user id that
  the names of downloaded files carry. The rows of points and of the test student are ignored.
- Moodle, an assignment's grading worksheet: Identifier ("Participant 123", the number that the
  names of downloaded folders carry), Full name, Email address; or Grades > Export: First name,
  Surname, ID number, Email address.
- Gradescope, Roster > Download: First Name, Last Name, SID, Email, Role.
- Plain CSV: name, id, netid, email.
- Any of them may have columns team, extension (days granted) and late_days (left of the budget).
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from autograder.course.tables import read_csv
from autograder.results import CANVAS, MOODLE
from autograder.text import InputError, alike, one_line, write_text

ROSTER_FILE = "roster.csv"
GRADESCOPE, PLAIN = "gradescope", "plain"
MAX_PEOPLE = 20_000
MAX_PROBLEMS = 20
MAX_CELL = 300
HEADINGS = {  # a heading's letters and digits, and the field of a person that it fills
    "student": "name", "name": "name", "fullname": "name", "studentname": "name",
    "firstname": "first", "givenname": "first", "lastname": "last", "surname": "last",
    "familyname": "last", "id": "id", "identifier": "id", "participantid": "id",
    "participantnumber": "id", "canvasid": "id", "userid": "id",
    "sisuserid": "sis_id", "idnumber": "sis_id", "sid": "sis_id", "studentid": "sis_id",
    "sisloginid": "netid", "netid": "netid", "username": "netid", "login": "netid",
    "loginid": "netid", "email": "email", "emailaddress": "email", "mail": "email",
    "section": "section", "sections": "section", "team": "team", "group": "team", "role": "role",
    "extension": "extension", "extensiondays": "extension", "latedays": "late_days",
    "latedaysleft": "late_days", "lastmodifiedsubmission": "time", "submitted": "time",
}  # fmt: skip
TEST_STUDENT = {"student, test", "test student"}
NUMBER = re.compile(r"(?:participant|teilnehmer/in|participante)?\s*(\d+)", re.IGNORECASE)
KEYS = ("id", "netid", "email", "sis_id")


@dataclass(frozen=True)
class Person:
    """One row of the roster."""

    name: str
    netid: str = ""  # Canvas's SIS Login ID, Moodle's username
    email: str = ""
    id: str = ""  # in file names: Canvas's user id, Moodle's participant number
    sis_id: str = ""  # Canvas's SIS User ID, Moodle's ID number, Gradescope's SID
    section: str = ""
    team: str = ""  # if the course assigns the teams
    extension: int = 0  # days granted
    late_days: int | None = None  # late days left of the team's budget; None: all
    time: str = ""  # of the last hand-in, as the system exports it

    @property
    def login(self) -> str:
        """The login by which sheets and messages name this person."""
        return self.netid or self.email or self.sis_id or self.id

    def __str__(self) -> str:
        return f"{self.name} ({self.login})" if self.name else self.login


@dataclass(frozen=True)
class Roster:
    """The people of a course, in the order of the file."""

    kind: str  # CANVAS, MOODLE, GRADESCOPE or PLAIN
    people: tuple[Person, ...]
    _by_key: dict[tuple[str, str], set[Person]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        index = defaultdict(set)
        for person in self.people:
            keys = [("id", person.id), ("name", _plain_name(person.name))]
            keys += [("login", alike(key)) for key in (person.netid, person.email, person.sis_id)]
            mailboxes = {alike(key).partition("@")[0] for key in (person.netid, person.email)}
            keys += [("mailbox", key) for key in mailboxes]
            for key in keys:
                if key[1]:
                    index[key].add(person)
        self._by_key.update(index)

    def _one(self, kind: str, text: str) -> Person | None:
        found = self._by_key.get((kind, text), set())
        return next(iter(found)) if len(found) == 1 else None

    def by_id(self, number: str) -> Person | None:
        """The person with this id, which file names carry; None if there is no single one."""
        return self._one("id", number)

    def by_login(self, login: str) -> Person | None:
        """The person with this NetID, email or SIS id, in any case; an email matches its NetID."""
        key = alike(login.strip())
        if ("login", key) in self._by_key:
            return self._one("login", key)
        return self._one("mailbox", key.partition("@")[0])

    def by_name(self, name: str) -> Person | None:
        """The person with this name; None if there is no single one."""
        return self._one("name", _plain_name(name))

    @cached_property
    def _spelled(self) -> list[tuple[Person, list[str], set[str]]]:
        """Each person with name and logins in the form of `alike`, and their words' beginnings."""
        found = []
        for person in self.people:
            texts = [alike(t)[:100] for t in (person.name, person.netid, person.email) if t]
            words = (word for text in texts for word in re.split(r"\W+", text))
            found.append((person, texts, {word[:2] for word in words}))
        return found

    def nearest(self, words: Iterable[str], number: int = 3) -> list[Person]:
        """The people whose names or logins are most similar to one of the words."""
        words = [alike(word)[:100] for word in words if len(alike(word)) > 2][:20]
        starts = {word[:2] for text in words for word in re.split(r"\W+", text) if len(word) > 2}
        close: dict[Person, float] = {}
        for person, texts, begun in self._spelled:
            if starts & begun:  # compare only with few people, since it takes long
                pairs = ((a, b) for a in words for b in texts)
                close[person] = max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)
        best = sorted(close, key=lambda person: -close[person])[:number]
        return [person for person in best if close[person] > 0.5]


def _plain_name(name: str) -> str:
    last, comma, first = name.partition(",")
    return alike(f"{first} {last}" if comma else name)


def read_roster(file: Path) -> Roster:
    """Read and check a roster.

    Raises:
        InputError: it cannot be read, or has no people, no names or ids, or one id for two people.
    """
    header, lines = read_csv(file)
    fields = [HEADINGS.get(re.sub(r"[^a-z0-9]", "", heading), "") for heading in header]
    used = set(fields)
    if not used & {"name", "first", "last"} or not used & set(KEYS):
        raise InputError(
            f"{file} is not a roster: it needs a column for the name and one of id, netid, email; "
            f"found {', '.join(map(one_line, header))[:200] or 'nothing'}"
        )
    problems: list[str] = []
    people: dict[Person, int] = {}
    for line, row in lines:
        if None in row:
            problems.append(
                f"{file}, line {line}: more cells than columns; put quotes around text with commas"
            )
        elif person := _person(header, fields, row, f"{file}, line {line}", problems):
            if not person.login:
                which = f"'{person.name}' has no id, NetID or email"
                problems.append(f"{file}, line {line}: {which}; add one, or leave out the row")
            people.setdefault(person, line)
        if len(problems) > MAX_PROBLEMS or len(people) > MAX_PEOPLE:
            break
    problems += _doubles(file, people)
    if len(people) > MAX_PEOPLE:
        problems = [f"{file} has more than {MAX_PEOPLE:,} people; name the roster of one course"]
    elif not people and not problems:
        problems = [f"{file} has headings but nobody below them; export the roster again"]
    if problems:
        more = len(problems) - MAX_PROBLEMS
        problems[MAX_PROBLEMS:] = [f"{file}: and {more} more"] if more > 0 else []
        raise InputError("\n".join(problems))
    return Roster(_kind(header), tuple(people))


def keep_roster(folder: Path, file: Path | None) -> Roster | None:
    """The roster stored in a folder of results, first replaced by `file` if one is given."""
    kept = folder / ROSTER_FILE
    if file:
        roster = read_roster(file)
        if not (kept.exists() and kept.samefile(file)):
            write_text(kept, file.read_bytes().decode("utf-8-sig"))
        return roster
    return read_roster(kept) if kept.exists() else None


def _kind(header: list[str]) -> str:
    names = {re.sub(r"[^a-z0-9]", "", heading) for heading in header}
    if {"student", "id"} <= names:
        return CANVAS
    if "identifier" in names or {"firstname", "emailaddress"} <= names:
        return MOODLE
    return GRADESCOPE if "sid" in names else PLAIN


def _person(
    header: list[str], fields: list[str], row: dict, where: str, problems: list[str]
) -> Person | None:
    """The person in a row; None for rows that are not about a student."""
    found: dict[str, Any] = {}
    for heading, name in zip(header, fields, strict=True):
        text = one_line(row.get(heading) or "")[:MAX_CELL]
        if name and text:
            found.setdefault(name, text)
    role = found.pop("role", "").lower()
    first, last = found.pop("first", ""), found.pop("last", "")
    found.setdefault("name", " ".join(filter(None, [first, last])))
    if "points possible" in found["name"].lower() or alike(found["name"]) in TEST_STUDENT:
        return None
    if (role and role != "student") or not any(found.get(key) for key in ("name", *KEYS)):
        return None
    if match := NUMBER.fullmatch(found.get("id", "")):
        found["id"] = match[1]
    for key in {"extension", "late_days"} & set(found):
        if re.fullmatch(r"\d{1,3}", found[key]):
            found[key] = int(found[key])
        else:
            problems.append(f"{where}: {key} must be a whole number of days, not '{found[key]}'")
            del found[key]
    return Person(**found)


def _doubles(file: Path, people: dict[Person, int]) -> list[str]:
    """A sentence for each id that two people share; drops repeated rows of the same person."""
    seen: dict[tuple[str, str], Person] = {}
    problems = []
    for person in list(people):
        for key in KEYS:
            value = alike(getattr(person, key))
            other = seen.setdefault((key, value), person) if value else person
            if other is person or person not in people:
                continue
            if replace(other, section="", team="") == replace(person, section="", team=""):
                del people[person]  # the same person in two sections
                continue
            lines = f"lines {people[other]} and {people[person]}"
            same = f"two people have the {key} '{getattr(person, key)}'"
            problems.append(f"{file}, {lines}: {same}; correct one of them")
            break
    return problems

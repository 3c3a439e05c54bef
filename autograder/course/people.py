"""Match submissions to the people of a roster: whose hand-in it is, and which of several counts.

A hand-in belongs to the person whose id its file name carries, and to the people in its team.csv.
The cell `people` in manual.csv overrides both. Whoever handed in gets the points of that hand-in,
even if another team's file names them too. If teams with different totals name someone who handed
in nothing, a person has to decide.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from autograder.course.roster import Person, Roster
from autograder.results import CANVAS, MOODLE, Grade
from autograder.rubric import RULES
from autograder.text import alike, number, one_line

HANDED_IN, NAMED, BY_HAND = "handed in", "team.csv", "manual.csv"


@dataclass
class Claims:
    """The people to whom one hand-in belongs."""

    sure: set[Person] = field(default_factory=set)  # by the id in the file name, or by manual.csv
    named: set[Person] = field(default_factory=set)  # only by team.csv
    strangers: list[str] = field(default_factory=list)  # in team.csv but not on the roster
    elsewhere: set[Person] = field(default_factory=set)  # in team.csv, but of another team
    by_hand: bool = False

    @property
    def all(self) -> set[Person]:
        return self.sure | self.named


@dataclass
class Seat:
    """A person on the roster, and the grade that this person gets."""

    person: Person
    grade: Grade | None = None
    how: str = ""  # HANDED_IN, NAMED or BY_HAND
    others: list[Grade] = field(default_factory=list)  # all that name the person
    note: str = ""


@dataclass
class Course:
    """The people of a roster with their grades, and the hand-ins that match nobody."""

    roster: Roster
    rule: str
    seats: list[Seat]
    claims: dict[str, Claims]  # by submission
    replaced: dict[str, str]  # a submission, and the one that counts instead

    @property
    def system(self) -> str:
        """The system whose ids the roster has: CANVAS, MOODLE, or "" if that cannot be known.

        A plain roster has the ids of the system whose files' names carry them.
        """
        if self.roster.kind in (CANVAS, MOODLE):
            return self.roster.kind
        origins = [seat.grade.origin for seat in self.seats if seat.grade]
        found = {origin.system for origin in origins if self.roster.by_id(origin.person)}
        return found.pop() if len(found) == 1 else ""

    def remarks(self, grade: Grade) -> list[str]:
        """Notes for a person on a hand-in: whom it does not match, or what replaced it."""
        found = self.claims[grade.submission]
        if grade.submission in self.replaced:
            return [f"Replaced by {self.replaced[grade.submission]}: {RULES[self.rule]}"]
        lines = [
            f"{one_line(name)} is in team.csv but not on the roster{self._nearest([name])}"
            for name in found.strangers
        ]
        lines += [
            f"{person} is in team.csv; the roster has them in {one_line(person.team)}"
            for person in sorted(found.elsewhere, key=str)
        ]
        if not found.all:
            carried = grade.origin.person
            why = f"its name carries the id {carried}, " if carried else "its name carries no id, "
            words = [grade.team, *_words(grade)]
            lines.append(
                f"Nobody on the roster: {why}and team.csv names nobody on it"
                f"{self._nearest(words)}; enter whose it is under 'people' in manual.csv"
            )
        return lines

    def _nearest(self, words: list[str]) -> str:
        close = ", ".join(map(str, self.roster.nearest(words)))
        return f" (nearest: {close})" if close else ""

    def undecided(self) -> list[Seat]:
        """People for whom a person has to decide, as the seat's note says."""
        return [seat for seat in self.seats if seat.note]

    def absent(self) -> list[Person]:
        """People who are in no hand-in."""
        return [seat.person for seat in self.seats if not seat.grade and not seat.note]

    def unmatched(self, grades: list[Grade]) -> list[Grade]:
        """Hand-ins that match nobody on the roster."""
        return [grade for grade in grades if not self.claims[grade.submission].all]


def claims_of(grades: list[Grade], roster: Roster) -> dict[str, Claims]:
    """For each submission, the people to whom it belongs.

    Args:
        grades: with `people` filled in from manual.csv.
    """
    return {grade.submission: _claims(grade, roster) for grade in grades}


def _claims(grade: Grade, roster: Roster) -> Claims:
    if given := {person for login in grade.people if (person := roster.by_login(login))}:
        return Claims(given, by_hand=True)
    found = Claims()
    if carrier := roster.by_id(grade.origin.person):
        found.sure.add(carrier)
    for member in grade.members:
        login, name = member.get("netid", ""), member.get("member", "")
        person = roster.by_login(login) or (roster.by_name(name) if not login.strip() else None)
        if person is None:
            found.strangers.append(f"{name} ({login})" if name and login else name or login)
        else:
            found.named.add(person)
    found.named -= found.sure
    teams = Counter(alike(p.team) for p in found.sure or found.all if p.team)
    most = [team for team, _ in teams.most_common(1)]
    own = alike(grade.team) if alike(grade.team) in teams else "".join(most)
    found.elsewhere = {p for p in found.named if p.team and alike(p.team) != own}
    found.named -= found.elsewhere
    return found


def teams_of(grades: list[Grade], claims: Mapping[str, Claims]) -> list[list[Grade]]:
    """Group the hand-ins by team, latest last: those of one account, or of the same people."""
    teams: dict[object, list[Grade]] = {}  # a team's keys share one list
    for grade in grades:
        found = claims[grade.submission]
        keys: list[object] = [frozenset(found.all)] if found.all else [grade.submission]
        if grade.origin.person and not found.by_hand:
            keys.append((grade.origin.system, grade.origin.person))
        known = {id(teams[key]): teams[key] for key in keys if key in teams}
        first, *others = list(known.values()) or [[]]
        for other in others:
            first += other
            teams.update({key: first for key, team in teams.items() if team is other})
        first.append(grade)
        teams.update(dict.fromkeys(keys, first))
    each = {id(team): team for team in teams.values()}.values()
    return [sorted(team, key=lambda grade: (grade.origin.order, grade.submission)) for team in each]


def counted(team: list[Grade], rule: str) -> Grade:
    """The hand-in of a team that counts by a rule, one of RULES.

    Args:
        team: its hand-ins, latest last, with the points that people gave.
    """
    if rule == "best":
        return max(reversed(team), key=lambda grade: grade.total)
    on_time = [grade for grade in team if not grade.origin.late]
    return (on_time if rule == "on-time" and on_time else team)[-1]


def seat(grades: list[Grade], roster: Roster, rule: str) -> Course:
    """Give each person on the roster a grade, or note why there is none.

    Args:
        grades: of the whole class, with the points that people gave.
        rule: which of a team's hand-ins counts, one of RULES.
    """
    claims = claims_of(grades, roster)
    replaced: dict[str, str] = {}
    sure: dict[Person, list[Grade]] = {}
    named: dict[Person, list[Grade]] = {}
    left: dict[Person, str] = {}  # people in a hand-in that is replaced
    for team in teams_of(grades, claims):
        best = counted(team, rule)
        for grade in team:
            if grade is not best:
                replaced[grade.submission] = best.submission
                left |= dict.fromkeys(claims[grade.submission].all, grade.submission)
        for person in claims[best.submission].sure:
            sure.setdefault(person, []).append(best)
        for person in claims[best.submission].named:
            named.setdefault(person, []).append(best)
    seats = []
    for person in roster.people:
        found = sure.get(person) or named.get(person, [])
        one = Seat(person, others=found)
        if len({number(grade.total) for grade in found}) > 1:
            several = ", ".join(f"{g.submission} ({number(g.total)})" for g in found)
            one.note = f"{several}: a person has to decide which counts"
        elif found:
            one.grade = found[0]
            by_hand = claims[found[0].submission].by_hand
            one.how = BY_HAND if by_hand else HANDED_IN if person in sure else NAMED
        elif person in left:
            one.note = f"only in {left[person]}, which {replaced[left[person]]} replaces"
        seats.append(one)
    return Course(roster, rule, seats, claims, replaced)


def _words(grade: Grade) -> list[str]:
    return [text for m in grade.members for text in (m.get("member", ""), m.get("netid", ""))]

"""The results of one submission: plain records that can be written as JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any

PASSED, PARTIAL, FAILED = "passed", "partial", "failed"
NOT_ATTEMPTED, MANUAL = "not attempted", "manual"
CANVAS, MOODLE = "canvas", "moodle"


@dataclass
class Origin:
    """Where a hand-in came from, who uploaded it, and when."""

    system: str = ""  # CANVAS, MOODLE, or "" if the name is not from a system
    person: str = ""  # Canvas's user id, Moodle's participant number; "" where names are hidden
    upload: int = 0  # Canvas's number of the file; a later upload has a larger one
    late: bool = False  # whether Canvas marks it as late
    date: str = ""  # of the file, ISO 8601 in UTC: orders hand-ins without an upload number

    time: str = ""  # when it was handed in, where the system says so; ISO 8601 with a zone
    due: str = ""  # this team's deadline, likewise

    @property
    def order(self) -> tuple[int, str]:
        """Sorts one team's hand-ins from first to last."""
        return self.upload, self.date


@dataclass
class TestResult:
    """The result of one test on one submission."""

    __test__ = False  # not a test class for pytest

    part: str  # id of the rubric's part
    name: str  # as pytest names it, such as "test_given_noise[mnist]"
    outcome: str  # PASSED, FAILED or NOT_ATTEMPTED
    group: str = ""  # of the rubric's partial credit; "" where the part has none
    title: str = ""  # what the test checks, one sentence
    reason: str = ""  # what the output shows, one or two sentences
    hint: str = ""  # what to look at, without the answer
    hint_id: str = ""  # the hint's id in hints.yaml
    seconds: float = 0.0


@dataclass
class PartResult:
    """The result of one part of the rubric on one submission."""

    id: str
    max_points: float  # that the tests can give, or a person where there are no tests
    points: float | None  # None: a person has yet to give them
    status: str  # PASSED, PARTIAL, FAILED, NOT_ATTEMPTED or MANUAL
    reason: str = ""
    hint: str = ""
    hint_id: str = ""
    tests: list[TestResult] = field(default_factory=list)
    human: float = 0.0  # most points that a person may add to the tests'
    by_person: float | None = None  # points that a person did add
    override: str = ""  # why a person changed the tests' points
    tests_gave: float | None = None  # the tests' points before that change

    @property
    def earned(self) -> float | None:
        """The points so far, by tests and people; None if a person has yet to give them."""
        return None if self.points is None else self.points + (self.by_person or 0.0)

    @property
    def possible(self) -> float:
        """The most points that the part can earn."""
        return self.max_points + self.human


@dataclass
class Grade:
    """All that is known about one submission."""

    submission: str  # the zip's or folder's name
    sha256: str = ""  # of the zip, or of the folder's files
    team: str = ""
    origin: Origin = field(default_factory=Origin)
    members: list[dict[str, str]] = field(default_factory=list)  # keys member, netid, contribution
    parts: list[PartResult] = field(default_factory=list)
    deductions: float = 0.0
    deduction_reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # oddities, and how they were handled
    needs_look: list[str] = field(default_factory=list)  # why a person should look at it
    samples: list[dict[str, str]] = field(default_factory=list)  # {"name", "png"}: base64
    people: list[str] = field(default_factory=list)  # its owners, where a person decided them
    seed: int = 0  # of the hidden tests; --seed repeats the run
    public: bool = False  # graded with the public tests only
    protections: dict[str, str] = field(default_factory=dict)  # the sandbox's layers in force
    hole: str = ""  # what the sandbox did not protect against, one sentence
    seconds: float = 0.0
    log: str = ""  # what the submission printed, capped, control characters made visible

    @property
    def total(self) -> float:
        """The points so far minus the deductions, never below 0."""
        return max(0.0, sum(p.earned or 0.0 for p in self.parts) - self.deductions)

    def part(self, part_id: str) -> PartResult:
        """The part with this id; KeyError if there is none."""
        for part in self.parts:
            if part.id == part_id:
                return part
        raise KeyError(part_id)

    def to_dict(self) -> dict[str, Any]:
        """The grade as values that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Grade":
        """The inverse of `to_dict`."""
        parts = [
            PartResult(**{**part, "tests": [TestResult(**test) for test in part["tests"]]})
            for part in values["parts"]
        ]
        origin = Origin(**values.get("origin", {}))  # results of earlier versions have none
        return cls(**{**values, "parts": parts, "origin": origin})

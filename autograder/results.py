"""What the judge finds out about a submission: plain records, which JSON can hold."""

from dataclasses import asdict, dataclass, field
from typing import Any

PASSED, PARTIAL, FAILED = "passed", "partial", "failed"
NOT_ATTEMPTED, MANUAL = "not attempted", "manual"
CANVAS, MOODLE = "canvas", "moodle"


@dataclass
class Origin:
    """What is known of a hand-in beside its content."""

    system: str = ""  # CANVAS, MOODLE, or "" if the name is not from a system
    person: str = ""  # Canvas's user id, Moodle's participant number; "" where names are hidden
    upload: int = 0  # Canvas's number of the file; a later upload has a larger one
    late: bool = False  # as Canvas marks it
    date: str = ""  # of the file, in ISO 8601 and UTC: only an order where nothing better is known

    time: str = ""  # when it was handed in, and
    due: str = ""  # when this team had to, where the system says so; ISO 8601 with a zone

    @property
    def order(self) -> tuple[int, str]:
        """Later hand-ins of one team come later."""
        return self.upload, self.date


@dataclass
class TestResult:
    """One test on one submission."""

    __test__ = False  # not a test class for pytest

    part: str  # id of the rubric's part
    name: str  # as pytest names it, such as "test_given_noise[mnist]"
    outcome: str  # PASSED, FAILED or NOT_ATTEMPTED
    group: str = ""  # of the rubric's partial credit; "" where the part has none
    title: str = ""  # what the test checks, one sentence
    reason: str = ""  # what the output shows, one or two sentences
    hint: str = ""  # what to look at, without the answer
    hint_id: str = ""  # of the mistake in the catalogue
    seconds: float = 0.0


@dataclass
class PartResult:
    """One part of the rubric on one submission."""

    id: str
    max_points: float  # by the tests, or by a person where there are no tests
    points: float | None  # None: a person has to fill it in
    status: str  # PASSED, PARTIAL, FAILED, NOT_ATTEMPTED or MANUAL
    reason: str = ""
    hint: str = ""
    hint_id: str = ""
    tests: list[TestResult] = field(default_factory=list)
    human: float = 0.0  # points that a person may add to those of the tests,
    by_person: float | None = None  # and has added
    override: str = ""  # why a person changed the tests' points, and
    tests_gave: float | None = None  # what these were

    @property
    def earned(self) -> float | None:
        """All points so far; None where there are none yet."""
        return None if self.points is None else self.points + (self.by_person or 0.0)

    @property
    def possible(self) -> float:
        """The points of the whole part."""
        return self.max_points + self.human


@dataclass
class Grade:
    """All that is known of one submission."""

    submission: str  # the zip's or folder's name
    sha256: str = ""  # of the zip, or of the folder's files
    team: str = ""
    origin: Origin = field(default_factory=Origin)
    members: list[dict[str, str]] = field(default_factory=list)  # keys member, netid, contribution
    parts: list[PartResult] = field(default_factory=list)
    deductions: float = 0.0
    deduction_reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what was odd, and how it was handled
    needs_look: list[str] = field(default_factory=list)  # why a person should look at it
    samples: list[dict[str, str]] = field(
        default_factory=list
    )  # {"name", "png"}: base64 thumbnails
    people: list[str] = field(default_factory=list)  # whose it is, where a person decided
    seed: int = 0  # of the hidden tests; --seed repeats the run
    public: bool = False  # graded with the public tests alone
    protections: dict[str, str] = field(default_factory=dict)  # what the sandbox had in force
    hole: str = ""  # what it did not protect against, one sentence
    seconds: float = 0.0
    log: str = ""  # what the submission printed, capped, control characters made visible

    @property
    def total(self) -> float:
        """Points so far, less the deductions, never below 0."""
        return max(0.0, sum(p.earned or 0.0 for p in self.parts) - self.deductions)

    def part(self, part_id: str) -> PartResult:
        """The part of this id; KeyError where there is none."""
        for part in self.parts:
            if part.id == part_id:
                return part
        raise KeyError(part_id)

    def to_dict(self) -> dict[str, Any]:
        """As JSON's values."""
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

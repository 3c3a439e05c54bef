"""What is remarked about a submission: why it is refused, and what was odd in it."""

from dataclasses import dataclass, field

from autograder.text import one_line

MAX_LISTED = 3  # names in a remark


class Refused(Exception):
    """Why a submission cannot be read, in one sentence."""


class RefusedForNow(Refused):
    """The same, for a reason on this machine's side: another try may succeed."""


class Unreadable(Exception):
    """Why one file cannot be read: the rest of a sentence that begins with its name."""


@dataclass
class Names:
    """The first names that a remark is about, and their number: a zip may list thousands."""

    first: list[str] = field(default_factory=list)
    number: int = 0

    def add(self, names: tuple[str, ...]) -> None:
        self.number += len(names)
        self.first += names[: MAX_LISTED - len(self.first)]


@dataclass
class Remarks:
    """What was found while reading a submission: reasons, each with the names it is about."""

    notes: dict[str, Names] = field(default_factory=dict)  # oddities, and how they were handled
    needs_look: dict[str, Names] = field(default_factory=dict)  # why a person should look
    findings: dict[str, Names] = field(default_factory=dict)  # instructions that were not followed

    def note(self, reason: str, *names: str) -> None:
        """Add an oddity, and how it was handled."""
        self.notes.setdefault(reason, Names()).add(names)

    def look(self, reason: str, *names: str) -> None:
        """Add a reason why a person should look."""
        self.needs_look.setdefault(reason, Names()).add(names)

    def find(self, reason: str, *names: str) -> None:
        """Add an instruction that was not followed."""
        self.findings.setdefault(reason, Names()).add(names)


def listed(remarks: dict[str, Names]) -> list[str]:
    """One line for each reason, with the first of its names."""
    return [
        f"{reason}: {first_of(names.first, names.number)}" if names.number else reason
        for reason, names in remarks.items()
    ]


def first_of(names: list[str], number: int | None = None) -> str:
    """The first names, and how many more there are; `number` counts all (default: those given)."""
    more = (len(names) if number is None else number) - MAX_LISTED
    return ", ".join(map(shown, names[:MAX_LISTED])) + (f" and {more} more" if more > 0 else "")


def shown(text: str, limit: int = 120) -> str:
    """A name from a submission as one line without control characters, shortened.

    Markup stays: what writes a page escapes it.
    """
    text = one_line(text[:2000])
    return text if len(text) <= limit else f"{text[: limit - 20]}...{text[-15:]}"


def shown_size(size: int) -> str:
    """A number of bytes as text, such as 1.5 MB."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"

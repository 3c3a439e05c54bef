"""Reads what a team handed in, as a zip or a folder: the code to run, and everything else.

Only the code is written to disk, file by file, into a folder of the grader. The team file, the
report and the pictures are read where they are. Whatever was handed in becomes a `Submission`, or
`Refused` with one sentence.
"""

import hashlib
import os
import re
import struct
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from autograder.reading.archives import Entry, opened
from autograder.reading.origin import FOLDER, origin_of
from autograder.reading.paperwork import check_report, check_rest, read_samples, read_team
from autograder.reading.program import (
    ARCHIVES,
    GRADED,
    copy_code,
    find_code,
    supply_bytecode,
    supply_helpers,
    without_data,
)
from autograder.reading.remarks import Refused, RefusedForNow, Remarks, Unreadable, listed, shown
from autograder.results import Origin
from autograder.text import alike

__all__ = [
    "Refused",
    "Submission",
    "find_submissions",
    "names_of",
    "open_submission",
    "team_of",
]

MAX_HASHED = 50_000_000  # bytes of a file; of larger files only name and size are hashed
PARTS_OF_A_SUBMISSION = {"code", "libs", "writeup", "team.csv", *GRADED}
UNNAMED = re.compile(r"submission[\s_(-]*\d*\)?", re.IGNORECASE)  # zip_submission.py's name


@dataclass
class Submission:
    """What a team handed in, ready to be run by a worker."""

    name: str  # the zip's or folder's
    sha256: str  # of the zip, or of a folder's names and contents without data
    code_folder: Path  # a copy, which contains `libs/`
    team: str
    origin: Origin = field(default_factory=Origin)
    members: list[dict[str, str]] = field(default_factory=list)  # keys member, netid, contribution
    notes: list[str] = field(default_factory=list)  # oddities, and how they were handled
    needs_look: list[str] = field(default_factory=list)  # why a person should look at it
    findings: list[str] = field(default_factory=list)  # instructions that were not followed
    samples: list[dict[str, str]] = field(default_factory=list)  # {"name", "png"}: base64


def find_submissions(paths: list[Path]) -> list[Path]:
    """The zips and submission folders among the paths and in them, each once, sorted per path.

    Raises:
        Refused: a path does not exist or holds nothing.
    """
    found: dict[str, Path] = {}
    for path in paths:
        name = shown(str(path))
        try:
            if path.is_dir():
                here = _in_folder(path)
            elif path.is_file():
                here = [path]
            else:
                raise Refused(f"{name} does not exist, or is neither a file nor a folder")
        except (OSError, ValueError) as error:
            raise Refused(f"{name} cannot be read: {getattr(error, 'strerror', error)}") from error
        if not here:
            raise Refused(f"{name} holds no submission: no zip, and no folder with code/ in it")
        for submission in here:
            found.setdefault(os.path.realpath(submission), submission)
    return list(found.values())


def _in_folder(folder: Path) -> list[Path]:
    """The submissions in a folder, or the folder itself if it is one; raises OSError."""
    if _is_submission(folder):
        return [folder]
    found: list[Path] = []
    unknown: list[Path] = []
    for child in _visible(folder):
        if child.is_dir():
            below = _below(child)
            found += below
            unknown += [] if below else [child]
        elif child.is_file() and child.suffix.lower() in ARCHIVES:
            found.append(child)
    # a folder without code next to submissions counts, too: it must not vanish from the grades
    return sorted(found + unknown) if found else []


def _below(folder: Path) -> list[Path]:
    """The submissions in one folder of the class's folder; none if that is unclear."""
    if not os.access(folder, os.R_OK | os.X_OK):
        return []
    if _is_submission(folder):
        return [folder]
    children = [child for child in _visible(folder) if not child.is_symlink()]
    zips = [path for path in children if path.is_file() and path.suffix.lower() in ARCHIVES]
    folders = [path for path in children if path.is_dir() and _is_submission(path)]
    if len(folders) == 1 and not zips:
        return [folder]  # an extra folder around the submission: the outer name is the team's
    return zips + folders


def _visible(folder: Path) -> list[Path]:
    names = os.listdir(folder)
    return [folder / name for name in sorted(names) if not name.startswith((".", "__MACOSX"))]


def _is_submission(folder: Path) -> bool:
    return not PARTS_OF_A_SUBMISSION.isdisjoint(name.lower() for name in os.listdir(folder))


def names_of(paths: list[Path], known: Collection[str] = ()) -> dict[Path, str]:
    """A name for each submission; they differ by more than spaces, case and Unicode's forms.

    This is the file's name. In Moodle's folders, and for a `submission.zip`, the name of the folder
    around it is put in front, whether it is graded alone or with the class. The same is done for
    names that would be alike otherwise; if that does not help, a hash of the path is appended.

    Args:
        paths: absolute.
        known: names in earlier results; a path that matches one keeps that name.
    """
    names: dict[Path, str] = {}
    for path in paths:
        longer = [_with_folders(path, depth) for depth in (0, 1, 2)]
        is_known = [name for name in longer if name in known]
        names[path] = (is_known or longer[_is_named_by_folder(path) :])[0]
    for depth in (1, 2, 3):
        spelled = Counter(map(alike, names.values()))
        others = {alike(name): name for name in known}
        for path, name in names.items():
            if spelled[alike(name)] > 1 or others.get(alike(name), name) != name:
                if depth < 3:
                    names[path] = _with_folders(path, depth)
                else:
                    digest = hashlib.sha256(os.fsencode(_with_folders(path, depth))).hexdigest()
                    names[path] = f"{name} [{digest[:6]}]"
    return names


def _is_named_by_folder(path: Path) -> bool:
    """Whether the folder around a submission, and not the file, is named after the team."""
    is_unnamed = path.suffix.lower() in ARCHIVES and UNNAMED.fullmatch(path.stem)
    return bool(is_unnamed or FOLDER.fullmatch(path.parent.name))


def _with_folders(path: Path, depth: int) -> str:
    """A path's name, preceded by the names of `depth` parent folders."""
    return "/".join([*path.parts[1:-1], path.name][-1 - depth :])


def open_submission(path: Path, work: Path, kit_code: Path) -> Submission:
    """Copy the code of a submission to WORK/code and read the rest.

    Args:
        path: a zip or a folder; it is not changed.
        work: made if it is missing; must not contain `code` yet. Folders get mode 0755, files 0644.
        kit_code: the kit's own code folder, the source of helpers that the submission lacks.

    Raises:
        Refused
    """
    path = Path(os.path.abspath(path))
    remarks = Remarks()
    team, origin = team_of(path, remarks)
    with opened(path, remarks) as entries:
        place = find_code(entries, remarks)
        entries = without_data(entries, place, remarks)
        try:
            code_folder = copy_code(entries, place, work, remarks)
            supply_helpers(code_folder / "libs", kit_code / "libs", remarks)
            supply_bytecode(code_folder / "libs", kit_code / "libs")
            digest = hash_of_folder(entries) if path.is_dir() else hash_of_file(path)
        except OSError as error:
            raise RefusedForNow(f"it could not be prepared here: {error}") from error
        members = read_team(entries, place, remarks)
        check_report(entries, place, remarks)
        check_rest(entries, place, remarks)
        samples = read_samples(entries, place, remarks)
    return Submission(
        name=shown(path.name, 255),
        sha256=digest,
        code_folder=code_folder,
        team=team,
        origin=origin,
        members=members,
        notes=listed(remarks.notes),
        needs_look=listed(remarks.needs_look),
        findings=listed(remarks.findings),
        samples=samples,
    )


def team_of(path: Path, remarks: Remarks) -> tuple[str, Origin]:
    """The team's name, from the name of the file or, as in Moodle's downloads, of its folder."""
    stem = path.stem if path.suffix.lower() in ARCHIVES else path.name
    team, origin = origin_of(path, stem)
    if origin.late:
        remarks.look("Canvas marks this submission as late")
    return team or shown((UNNAMED.fullmatch(stem) and path.parent.name) or stem), origin


def hash_of_file(path: Path) -> str:
    """The SHA-256 of a file that may be larger than memory, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_of_folder(entries: list[Entry]) -> str:
    """The SHA-256 of all names and contents, in the order of the names, as hexadecimal digits."""
    total = hashlib.sha256()
    for entry in entries:  # sorted by `opened`
        content = hashlib.sha256()
        try:
            for block in entry.blocks(MAX_HASHED if entry.size <= MAX_HASHED else 0):
                content.update(block)
        except Unreadable:
            content.update(str(entry.size).encode())
        name = entry.path.encode("utf-8", "surrogateescape")
        total.update(struct.pack("<I", len(name)) + name + content.digest())
    return total.hexdigest()

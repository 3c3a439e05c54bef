"""Reads what is handed in besides the code (team file, report, results), and what is missing."""

import base64
import contextlib
import csv
import io
import re
import struct
from collections import Counter

from zip_submission import ANSWER, ANSWERS, TEAM, TEAM_COLUMNS, TEAM_TEMPLATE, count_in_pdf

from autograder.reading.archives import Entry
from autograder.reading.program import MAX_CODE_BYTES, MAX_CODE_FILE, SOURCES, Place
from autograder.reading.remarks import Remarks, Unreadable, shown
from autograder.text import one_line

MAX_TEXT = 100_000  # bytes of team.csv and PROBLEMS.txt
MAX_REPORT = 20_000_000  # bytes of a PDF whose texts are read
MAX_MEMBERS, MAX_FIELD, MAX_PROBLEMS = 20, 300, 20
MAX_SAMPLES, MAX_SAMPLE, MAX_PIXELS = 4, 1_000_000, 25_000_000
MAX_SEGMENTS = 2000  # of a JPEG, before the one with its size
MAX_TRIES = 20  # candidates for a report or sample that are opened

COLUMNS = {  # of team.csv; headings are compared without case, spaces and punctuation
    "member": "member",
    "members": "member",
    "membername": "member",
    "name": "member",
    "netid": "netid",
    "netids": "netid",
    "contribution": "contribution",
    "contributions": "contribution",
}
HEADER = {column.lower(): column for column in TEAM_COLUMNS}
EXAMPLE = dict(zip(HEADER, TEAM_TEMPLATE.lower().splitlines()[1].split(","), strict=True))
PATH = r"/(?:home|Users|root|content|mnt|media|scratch|kaggle|Volumes)/|[A-Za-z]:[\\/]"
PATH_START = re.compile(rf"""["' ](?:{PATH})""")  # fast, and rarely matches
OWN_PATH = re.compile(  # after a quote, or as a value in a YAML file; not in a comment
    rf"""^[^#\n]*?(?:["']|:[ ])(?P<path>(?:{PATH})[^"'\s]{{2,}})""",
    re.VERBOSE | re.MULTILINE,
)


def read_team(entries: list[Entry], place: Place, remarks: Remarks) -> list[dict[str, str]]:
    """The members in team.csv, as records with the keys member, netid, contribution."""
    named = [entry for entry in entries if entry.parts[-1].lower() == "team.csv"]
    if not named:
        remarks.find("There is no team.csv")
        return []
    entry = min(named, key=lambda e: (e.parts[:-1] != place.root, len(e.parts), e.parts))
    if entry.parts[:-1] != place.root:
        remarks.note("team.csv is not next to code/ but here", entry.path)
    try:
        text = entry.read(MAX_TEXT).decode("utf-8-sig")
        separator = separator_of(text)
        rows = [
            row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row
        ]
    except Unreadable as error:
        remarks.find(f"team.csv {error}")
    except UnicodeDecodeError:
        remarks.find("team.csv is not UTF-8 text")
    except csv.Error as error:
        remarks.find(f"team.csv is not a CSV file ({error})")
    else:
        return members_of(rows, remarks)
    return []


def separator_of(text: str) -> str:
    """The most frequent of comma, semicolon and tab in the first line that is not empty."""
    first = text.strip().split("\n", 1)[0]
    return max(",;\t", key=first.count)


def members_of(rows: list[list[str]], remarks: Remarks) -> list[dict[str, str]]:
    """The members in the rows of team.csv; the first row holds the column names."""
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        remarks.find("team.csv is empty")
        return []
    headings = [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in rows[0]]
    places = {COLUMNS[h]: i for i, h in reversed(list(enumerate(headings))) if h in COLUMNS}
    missing = [heading for column, heading in HEADER.items() if column not in places]
    if missing:
        remarks.find(f"team.csv has no column {' and no column '.join(missing)}")
    members = [m for row in rows[1:] if (m := member_of(row, places, remarks))]
    if not members:
        remarks.find("team.csv names nobody")
    netids = Counter(member["netid"].lower() for member in members)
    for netid in sorted(netid for netid, number in netids.items() if netid and number > 1):
        remarks.find("team.csv gives one NetID to several members", netid)
    if len(members) > MAX_MEMBERS:
        remarks.look(f"team.csv names {len(members)} members; the first {MAX_MEMBERS} count")
    return members[:MAX_MEMBERS]


def member_of(row: list[str], places: dict[str, int], remarks: Remarks) -> dict[str, str] | None:
    """The member in one row, without remains of the template; None if it names nobody."""
    member = {column: "" for column in HEADER}
    empty = []
    for column, place in places.items():
        member[column] = one_line(row[place])[:MAX_FIELD] if place < len(row) else ""
        if member[column].lower() == EXAMPLE[column]:
            remarks.find("team.csv still holds the template's example")
            member[column] = ""
        elif not member[column]:
            empty.append(HEADER[column])
    who = member["member"] or member["netid"]
    for column in empty if who else ():
        remarks.find(f"team.csv leaves {column} empty", who)
    if re.search(r"[\s,;/]", member["netid"]):
        remarks.find("team.csv gives several NetIDs in one line", member["netid"])
    return member if who else None


def check_report(entries: list[Entry], place: Place, remarks: Remarks) -> None:
    """Look for a report, preferably in writeup/: a file that begins as a PDF does."""
    pdfs = [entry for entry in entries if entry.suffix == ".pdf"]
    pdfs.sort(key=lambda entry: place.below_root(entry)[0].lower() != "writeup")
    for entry in pdfs[:MAX_TRIES]:
        if b"%PDF-" in started(entry)[:1024]:
            if place.below_root(entry)[0].lower() != "writeup":
                remarks.note("The report is not in writeup/; this file was taken", entry.path)
            check_answers(entry, remarks)
            return
    if pdfs:
        remarks.find("The report is empty, damaged or not a PDF", *[entry.path for entry in pdfs])
    else:
        remarks.find("There is no report as PDF")


def check_answers(report: Entry, remarks: Remarks) -> None:
    """Note placeholders of the template left in the report, as zip_submission.py does."""
    try:
        content = report.read(MAX_REPORT)
    except Unreadable:
        return  # a person opens it in any case
    left, teams = count_in_pdf(content, ANSWER, TEAM)
    if left >= ANSWERS:
        remarks.look("The report is the template: no question is answered", report.path)
    elif left:
        remarks.look(f"The report still says '{ANSWER}' in {left} of {ANSWERS} places", report.path)
    if left < ANSWERS and teams:
        remarks.note(f"The report still says '{TEAM}'", report.path)


def started(entry: Entry) -> bytes:
    """The first bytes of a file; none if it cannot be read."""
    try:
        return entry.start()
    except Unreadable:
        return b""


def check_rest(entries: list[Entry], place: Place, remarks: Remarks) -> None:
    """Check the rest: missing folders, problems noted while packing, paths of the team's own."""
    tops = {place.below_root(entry)[0].lower() for entry in entries}
    folders = {part.lower() for above in {e.parts[:-1] for e in entries} for part in above}
    if "results" not in tops:
        remarks.note("There is no folder results")
    if "configs" not in folders:
        remarks.note("There is no folder configs")
    for entry in entries:
        if entry.parts == (*place.root, "PROBLEMS.txt"):
            add_problems(entry, remarks)
    left = MAX_CODE_BYTES
    for entry in entries:
        in_code = entry.parts[: len(place.folder)] == place.folder
        is_source = entry.suffix in SOURCES
        is_source &= in_code or place.below_root(entry)[0].lower() == "configs"
        if is_source and entry.size <= min(left, MAX_CODE_FILE):
            left -= entry.size
            add_own_paths(entry, remarks)


def add_problems(entry: Entry, remarks: Remarks) -> None:
    """Repeat the problems that zip_submission.py found, if the team packed despite them."""
    try:
        lines = entry.read(MAX_TEXT).decode("utf-8", "replace").splitlines()
    except Unreadable as error:
        lines = [f"PROBLEMS.txt {error}"]
    problems = [shown(line.strip("- \t"), MAX_FIELD) for line in lines if line.strip()]
    if problems:
        first = "; ".join(problems[:MAX_PROBLEMS])
        number = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        remarks.find(f"The team packed despite {number}: {first}")


def add_own_paths(entry: Entry, remarks: Remarks) -> None:
    """Find a path that exists only on the team's own computer."""
    try:
        text = entry.read(MAX_CODE_FILE).decode("utf-8", "replace")
    except Unreadable:
        return  # noted when the code was copied
    match = OWN_PATH.search(text) if PATH_START.search(text) else None
    if match:
        line = text.count("\n", 0, match.start("path")) + 1
        where = f"{shown(entry.path)}, line {line} ({shown(match['path'], 60)})"
        remarks.find("Paths that exist only on the team's own computer", where)


def read_samples(entries: list[Entry], place: Place, remarks: Remarks) -> list[dict[str, str]]:
    """The first pictures in results/, not decoded: {"name", "png": base64 of a PNG or JPEG}."""
    pictures = [
        entry
        for entry in entries
        if place.below_root(entry)[0].lower() == "results"
        and entry.suffix in (".png", ".jpg", ".jpeg")
    ]
    pictures.sort(key=lambda entry: "sample" not in entry.parts[-1].lower())
    samples: list[dict[str, str]] = []
    for entry in pictures[:MAX_TRIES]:
        if len(samples) == MAX_SAMPLES:
            break
        content = b""
        with contextlib.suppress(Unreadable):
            if pixels_of(entry.start()) <= MAX_PIXELS:  # 0: the start does not say
                content = entry.read(MAX_SAMPLE)
        if 0 < pixels_of(content) <= MAX_PIXELS:
            picture = base64.b64encode(content).decode()
            samples.append({"name": shown("/".join(place.below_root(entry))), "png": picture})
        else:
            remarks.note("Pictures that are damaged or too large are not shown", entry.path)
    return samples


def pixels_of(picture: bytes) -> int:
    """The number of pixels according to a PNG or JPEG header; 0 for anything else."""
    if picture[:16] == b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" and len(picture) > 24:
        width, height = struct.unpack(">II", picture[16:24])
        return width * height
    at = 2 if picture[:3] == b"\xff\xd8\xff" else len(picture)
    for _ in range(MAX_SEGMENTS):
        if at + 9 > len(picture) or picture[at] != 0xFF:
            break
        marker, length = picture[at + 1], int.from_bytes(picture[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            height, width = struct.unpack(">HH", picture[at + 5 : at + 9])
            return width * height
        at += 2 + max(length, 2)
    return 0

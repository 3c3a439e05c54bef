"""Where a hand-in comes from, read from the names that Canvas and Moodle give to its files."""

import contextlib
import datetime
import re
from pathlib import Path

from autograder.reading.remarks import shown
from autograder.results import CANVAS, MOODLE, Origin

# A file from Canvas's "Download Submissions" is named name_LATE_user_upload_file (content_zipper.rb
# of canvas-lms). With hidden names, anon_ and five letters replace name and user.
NAMED = re.compile(r"(?P<team>.+?)(?P<late>_LATE)?_(?P<person>\d{3,})_(?P<upload>\d{3,})_.+", re.S)
HIDDEN = re.compile(r"(?P<late>LATE_)?(?P<team>anon_[0-9A-Za-z]{5})_(?P<upload>\d{3,})_.+", re.S)
# A folder from Moodle, or a file if it makes no folders: name_participant_assignsubmission_file_
# (download_submissions of mod/assign). With hidden names, "Participant" replaces the name.
FOLDER = re.compile(r"(?P<team>.+?)_(?P<person>\d+)_assignsubmission_file_?", re.S)
FILE = re.compile(r"(?P<team>.+?)_(?P<person>\d+)_assignsubmission_file_.+", re.S)
NOBODY = "Participant"


def origin_of(path: Path, stem: str) -> tuple[str, Origin]:
    """The team's name as the system writes it ("" if there is no system), and the origin.

    Args:
        path: the zip or folder.
        stem: its name, without the suffix of an archive.
    """
    date = ""
    with contextlib.suppress(OSError, OverflowError, ValueError):
        at = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
        date = at.isoformat(timespec="seconds")
    if match := HIDDEN.fullmatch(stem) or NAMED.fullmatch(stem):
        found = match.groupdict()
        person, late = found.get("person", ""), bool(found["late"])
        origin = Origin(CANVAS, person, int(found["upload"][:18]), late, date=date)
        return shown(found["team"]), origin
    for name, pattern in ((path.parent.name, FOLDER), (stem, FOLDER), (stem, FILE)):
        if match := pattern.fullmatch(name):
            team, person = match["team"], match["person"][:30]
            team = f"{team} {person}" if team == NOBODY else team
            return shown(team), Origin(MOODLE, person, date=date)
    return "", Origin(date=date)

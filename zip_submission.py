"""Check the homework and pack it into submission.zip: python zip_submission.py

Run it from any folder: it packs the folder that holds this script. The same files give the same
bytes with the same Python. Needs Python 3.9 or newer and nothing else.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import csv
import fnmatch
import hashlib
import importlib.util
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import tokenize
import unicodedata
import urllib.parse
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

FOLDERS = ("code", "configs", "writeup", "results")
CORE_FILES = ("ddpm.py", "unet.py")
CORE_FUNCTIONS = (
    *("q_sample", "compute_loss", "p_sample", "p_sample_loop", "generate", "interpolate"),
    "forward",
)
NO_PART = "this is not part of this homework"  # in the place of what nobody is asked for
TEAM_COLUMNS = ("member", "NetID", "contribution")
TEAM_TEMPLATE = "member,NetID,contribution\nExample Name,netid,what this member did\n"
ANSWER, ANSWERS = "Your answer here", 9  # in the report's template, and how often
TEAM = "Team: name of your team"

MAX_BYTES = 50_000_000  # of all files but the model, before compression
MAX_MODEL = 1_000_000_000  # Canvas takes 5 GB, but such an upload may take hours
MAX_SOURCE = 2_000_000  # the grader reads no longer Python file
MAX_NOTEBOOK = 20_000_000  # longer ones are not read: only outputs make them so long
MAX_OUTPUTS = 1_000_000  # of a notebook, in bytes
MAX_TEXT = 1_000_000  # longer files are not searched for secrets
MAX_PATH = 200  # Windows allows 260 letters, with the folder that the zip is unpacked to
MAX_UNPACKED, MAX_PAGE, MAX_PAGES = 60_000_000, 2_000_000, 8_000_000  # bytes of a PDF
PER_STREAM = 1000  # bytes that each stream counts for beside its own
MAX_LETTERS, MAX_FONTS, MAX_CODES = 2_000_000, 32, 200_000  # of a PDF, that are read
MAX_BLOCKS = 1000  # of a font's table, each of which should hold 100 codes at most
COPY_SECONDS = 60  # within which the times of files that were copied together may differ
CHECK_SECONDS = 600  # for the public tests

DATA, DATA_FILES = "data, logs and downloads", "arrays and data sets"
CHECKPOINTS = "checkpoints (--with-model FILE adds one)"
CACHES, SECRETS = "caches, environments and .git", "secrets (keys, passwords, tokens)"
OLD_ZIPS = "earlier submissions"
LEFT_OUT = {  # reason: names, compared in lower case
    DATA: ["data", "logs", "pretrained", "runs", "wandb", "checkpoints"],  # of folders
    DATA_FILES: ["*.npy", "*.npz", "*.h5", "*.hdf5", "*.parquet", "*.lmdb", "*.tfrecord"],
    CHECKPOINTS: ["*.pth", "*.pt", "*.ckpt", "*.safetensors", "*.onnx"],
    CACHES: ["__pycache__", "*.pyc", ".*_cache", ".ipynb_checkpoints", ".venv", ".git"],
    "litter": [".ds_store", "thumbs.db", "__macosx", "desktop.ini", "._*", "*.partial"],
    "TensorBoard events": ["*.tfevents.*"],
    SECRETS: (
        ".env .env.* .netrc _netrc .git-credentials .pypirc .pgpass kaggle.json *.pem *.p12 "
        "*.pfx id_rsa id_dsa id_ecdsa id_ed25519 .ssh .aws .gnupg .kaggle"
    ).split(),
    OLD_ZIPS: ["submission*.zip"],
}
ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")
SOURCES = (".py", ".ipynb", ".yaml", ".yml")  # stay in the zip whatever they hold
SECRET = re.compile(
    rb"""-----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----
    |\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|hf_[A-Za-z]{34}|gh[pousr]_\w{36}|github_pat_\w{40,}
        |glpat-[\w-]{20}|AIza[\w-]{35}|xox[abprs]-[\w-]{20,}|sk-(?:\w+-)?\w{32,})(?![\w-])
    |^[ \t]*(?:export[ ])?[A-Z0-9_]*(?:API_KEY|ACCESS_KEY|SECRET_KEY|TOKEN|PASSWORD)=
        (?!["']?(?i:your|xxx|example|\.\.\.|<))["']?[\w+/=.-]{6,}["']?[ \t]*\r?$
    |(?i:api_?key|access_?key|secret_?key|auth_?token|access_?token|password)["']?[ ]*[:=][ ]*
        ["'](?=(?:[^"'\s]*[0-9]){3})[\w+/=.-]{16,}["']""",
    re.VERBOSE | re.MULTILINE,
)
FOR_WINDOWS = re.compile(
    r"""[<>:"|?*\\\x00-\x1f]|[. ]$
    |^(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:\.|$)""",
    re.VERBOSE | re.IGNORECASE,
)
CONFLICT = re.compile(rb"^<{7}[ ].*\n(?:.*\n)*?={7}\r?\n(?:.*\n)*?>{7}[ ]", re.MULTILINE)

ABSOLUTE = re.compile(
    r"""(?:-{0,2}[\w.]+=)?(?:  # as in dataset.data_folder=/home/...
    (?P<posix>(?:file://)?/(?:home|Users|root|content|mnt|media|tmp|scratch|data|datasets|kaggle
        |workspace|Volumes)(?:/|$)
      |/(?!(?:dev|proc|sys)/)[A-Za-z][\w.-]*(?:/[\w.{}%*+-]+)+/?$)  # every Linux has these three
    |~/
    |[A-Za-z]:(?:\\{1,2}|/)(?:$|[\w\ .(){}%-]{2,}(?:[\\/]|$))  # two letters: r"t:\s" is a regex
    |\\\\[\w.-]{2,}\\[\w.$-]{2,})""",
    re.VERBOSE,
)
REGEX = re.compile(r"\\[dDwWsSbB.]|(?<!\*)\.[*+?]|\(\?|\[\^|\$$")
STRING_METHODS = set(
    "startswith endswith replace removeprefix removesuffix split rsplit partition rpartition strip "
    "lstrip rstrip find rfind index count".split()
)
HELP_ARGUMENTS = {"help", "description", "epilog", "usage", "metavar"}
YAML_TOKEN = re.compile(
    r"""\s+|(?<!\S)\#.*|[-?:](?=\s|$)|[\[\]{},]
    |(?P<quoted>"(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?)|(?P<plain>(?:(?!:(?:\s|$)|\s\#)[^,\[\]{}])+)|.""",
    re.VERBOSE,
)


class Survey:
    """What is to be packed (name in the zip: file), what is left out, and what is wrong."""

    def __init__(self, root: Path, out: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self.out = os.path.realpath(out)
        self.files: dict[str, Path] = {}
        self.folders: list[str] = []
        self.left_out: dict[str, list[str]] = {}
        self.trees: dict[str, ast.Module] = {}
        self.problems: list[str] = []
        self.warnings: list[str] = []
        for name in FOLDERS:
            path = root / name
            if not path.is_dir():
                self.problems.append(f"the folder {name}/ is missing in {root}")
            elif not self._inside(path):
                self.problems.append(f"{name}/ is a link out of {root}; copy the folder there")
            else:
                self.folders.append(name)
                self._add_folder(path, name, (os.path.realpath(path),))
        if (root / "team.csv").is_file():
            self._add(root / "team.csv", "team.csv", ())

    def _inside(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self.root)

    def _add_folder(self, folder: Path, name: str, above: tuple[str, ...]) -> None:
        try:
            entries = sorted(os.listdir(folder))
        except OSError as error:
            self.problems.append(f"{name}/ cannot be read ({error.strerror})")
            return
        for entry in entries:
            self._add(folder / entry, f"{name}/{entry}", above)

    def _add(self, path: Path, name: str, above: tuple[str, ...]) -> None:
        """Add a file, or what a folder holds; `above`: the real paths of the folders around it."""
        real = os.path.realpath(path)
        if real == self.out:
            return
        if not self._inside(path):
            reason = "links that leave this folder"
        elif not (path.is_dir() or path.is_file()):
            reason = "links that lead nowhere, and other things that are not files"
        elif path.is_dir() and any(Path(folder).is_relative_to(real) for folder in above):
            reason = "links that lead in circles"
        else:
            reason = why_left_out(path)
            if path.is_symlink():
                reason = reason or why_left_out(Path(real))
        if reason:
            self.left_out.setdefault(reason, []).append(f"{name}/" if path.is_dir() else name)
        elif path.is_dir():
            self._add_folder(path, name, (*above, real))
        elif not is_unicode(name):
            self.problems.append(f"the name {name!r} is not valid Unicode; rename the file")
        elif not os.access(path, os.R_OK):
            self.problems.append(f"{name} cannot be read; change its permissions")
        else:
            self._add_file(path, name)

    def _add_file(self, path: Path, name: str) -> None:
        """Add a file unless what it holds keeps it out."""
        reason = archive_reason(path)
        secret = None if reason else line_of_secret(path)
        if secret and not (name.lower().endswith(SOURCES) or name.startswith("writeup/")):
            reason = SECRETS
        elif secret:
            self.warnings.append(
                f"{name}, line {secret}: this looks like a password, key or token, and everyone "
                "who gets the zip can use it; take it out, and replace it where it is valid"
            )
        if reason:
            self.left_out.setdefault(reason, []).append(name)
            return
        if name.lower().endswith(ARCHIVES):
            self.warnings.append(f"{name}: the grader opens no archive inside the zip; unpack it")
        self.files[name] = path

    def names(self, tops: tuple[str, ...], *suffixes: str) -> list[str]:
        """Names of the files to pack below one of the folders that end in a suffix."""
        return [n for n in self.files if n.split("/")[0] in tops and n.lower().endswith(suffixes)]


# Names, and what keeps a file out


def is_unicode(name: str) -> bool:
    """False for a file name with bytes that are not UTF-8, which no zip can hold."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def why_left_out(path: Path) -> str | None:
    """The reason why a file or folder of this name stays out, or None."""
    if (path / "pyvenv.cfg").is_file():
        return CACHES
    name = path.name.lower()
    for reason, patterns in LEFT_OUT.items():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            # code/libs/data/ may be a Python package, and configs/data/ a group of configs
            sources = any(any(path.glob(kind)) for kind in ("*.py", "*.yaml", "*.yml"))
            return None if reason is DATA and (sources or not path.is_dir()) else reason
    return None


def archive_reason(path: Path) -> str | None:
    """The reason why a zip stays out, for what it holds; torch writes checkpoints as zips."""
    with open(path, "rb") as file:
        if file.read(4) != b"PK\3\4":
            return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.split("/") for name in archive.namelist()]
    except Exception:  # zipfile raises a dozen kinds on damaged files, and such a one may stay
        return None
    if any(name[-1] in ("team.csv", *CORE_FILES) for name in names):
        return OLD_ZIPS
    return CHECKPOINTS if any(name[1:] == ["data.pkl"] for name in names) else None


def line_of_secret(path: Path) -> int | None:
    """The line of a file that holds a password, key or token, or None."""
    if path.stat().st_size > MAX_TEXT:
        return None
    content = path.read_bytes()
    match = SECRET.search(content)
    return content.count(b"\n", 0, match.start()) + 1 if match else None


def check_names(names: list[str]) -> Iterator[str]:
    """Warnings of names that are not good everywhere; the zip is unpacked on other systems."""
    seen: dict[str, str] = {}
    for name in names:
        parts = name.split("/")
        bad = next((part for part in parts if FOR_WINDOWS.search(part)), None)
        if bad:
            yield f"{name}: Windows allows no file or folder named '{bad}'; rename it"
        elif len(name) > MAX_PATH:
            yield f"{name}: with {len(name)} letters this path is too long for Windows; shorten it"
        for depth in range(1, len(parts) + 1):
            part = "/".join(parts[:depth])
            other = seen.setdefault(unicodedata.normalize("NFC", part).casefold(), part)
            if other != part:
                yield (
                    f"{other} and {part}: Windows and macOS take these names for the same, and "
                    "one would replace the other; rename one"
                )
                break


# The report


def reports(survey: Survey) -> dict[str, bytes]:
    """The PDFs directly in writeup/ (one in a folder below may be a mere figure), by name."""
    names = [name for name in survey.names(("writeup",), ".pdf") if name.count("/") == 1]
    return {name: survey.files[name].read_bytes() for name in names}


def check_report(survey: Survey) -> Iterator[str]:
    """Problems of the report: it is missing, or no PDF."""
    found = reports(survey)
    if not found and "writeup" in survey.folders:
        yield "there is no PDF in writeup/; put the report there (not into a folder below it)"
    for name, content in found.items():
        if b"%PDF-" not in content[:1024]:
            yield f"{name} is empty or no PDF; export the report again"


def check_answers(survey: Survey) -> Iterator[tuple[bool, str]]:
    """What the reports still hold of the template: whether it costs points, and a sentence."""
    found = {n: count_in_pdf(content, ANSWER, TEAM) for n, content in reports(survey).items()}
    nothing_else = all(left >= ANSWERS for left, _ in found.values())  # is the team's report
    for name, (left, teams) in found.items():
        if left >= ANSWERS:
            yield nothing_else, f"{name} is the template; answer its questions and make it again"
        elif left:
            places = "in one place" if left == 1 else f"in {left} places"
            yield False, f"{name} still says '{ANSWER}' {places}; answer there, or take it out"
        if left < ANSWERS and teams:
            yield False, f"{name} still says '{TEAM}'; put your team's name there"


def check_age(survey: Survey) -> Iterator[str]:
    """Warnings of a report that was not made from what its source holds now, or only in part."""
    for name, content in reports(survey).items():
        path = survey.files[name]
        if b"%PDF-" in content[:1024] and b"%%EOF" not in content[-2048:]:
            yield f"{name} has no end, as after a broken copy; export the report again"
        made_of = re.search(rb"/Keywords \(made of ([^)]*)\)", content)
        for source, digest in re.findall(r"(\S+)=(\w+)", made_of[1].decode() if made_of else ""):
            file = path.parent / urllib.parse.unquote(source)
            if file.is_file() and not sha256(file).startswith(digest):
                yield (
                    f"{name} was made before {file.name} was changed; make it again with "
                    "`make report`"
                )
        for source in (path.with_suffix(".md"), path.with_suffix(".tex")):
            if made_of or not source.is_file() or is_untouched(source.read_bytes()):
                continue
            if source.stat().st_mtime > path.stat().st_mtime + COPY_SECONDS:
                yield f"{name} is older than {source.name}; export the report again"


def is_untouched(source: bytes) -> bool:
    """Whether a Markdown or LaTeX file is the template, which teams with other programs keep."""
    return source.count(ANSWER.encode()) >= ANSWERS


def count_in_pdf(content: bytes, *phrases: str) -> list[int]:
    """How often a PDF shows phrases, as far as its texts can be read; white space is ignored.

    Fonts number their letters as they like and say in a ToUnicode table how. Each page is read with
    each table, and as plain letters: in the wrong one the phrase does not appear. The grader calls
    this too, on files from anybody: the work has limits.
    """
    wanted = ["".join(phrase.split()) for phrase in phrases]
    tables, pages = [LetterTable(1, {code: chr(code) for code in range(256)})], []
    codes_left = MAX_CODES
    for data in pdf_streams(content):
        if len(data) > MAX_PAGE:
            continue
        if b"beginbf" in data:
            table, codes_left = read_letters(data, codes_left)
            if len(tables) < MAX_FONTS and any(map(table.has, wanted)):
                tables.append(table)
        elif re.search(rb"T[jJ]\b", data):
            pages.append(data)
    numbers, bytes_left, letters_left = [0] * len(wanted), MAX_PAGES, MAX_LETTERS
    for page in pages:
        bytes_left -= len(page)
        if bytes_left < 0:
            break
        strings = [unescaped(string) for string in PDF_STRING.finditer(page)]
        letters_left -= sum(map(len, strings)) * len(tables)
        if letters_left < 0:
            break
        readings = ["".join("".join(map(table.read, strings)).split()) for table in tables]
        for i, phrase in enumerate(wanted):
            numbers[i] += max(reading.count(phrase) for reading in readings)
    return numbers


def pdf_streams(content: bytes) -> Iterator[bytes]:
    """What a PDF packs: pages, tables of letters, and all else."""
    left, end = MAX_UNPACKED, 0
    while left > 0:
        start = content.find(b"stream", end)
        end = content.find(b"endstream", start)
        if start < 0 or end < 0:
            return
        data = content[start + len(b"stream") : end].lstrip(b"\r\n")
        end += len(b"endstream")
        with contextlib.suppress(zlib.error):
            data = zlib.decompressobj().decompress(data, left)
        left -= len(data) + PER_STREAM
        yield data


# one that never ends matches too: else each of its letters would be tried as the beginning again
PDF_STRING = re.compile(rb"\(((?:[^()\\]|\\.)*)\)?|<([0-9A-Fa-f\s]*)>", re.DOTALL)
PDF_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|\r?\n|(.))", re.DOTALL)
PDF_CONTROL = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def unescaped(match: re.Match) -> bytes:
    """The bytes of a PDF's string."""
    if match[2] is not None:
        digits = b"".join(match[2].split())
        return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())

    def letter(escape: re.Match) -> bytes:
        if escape[1]:
            return bytes([int(escape[1], 8) & 255])
        return PDF_CONTROL.get(escape[2], escape[2] or b"")

    return PDF_ESCAPE.sub(letter, match[1])


@dataclass
class LetterTable:
    """What a font's codes mean: the bytes per code, and the letters of each."""

    width: int
    letters: dict[int, str]

    def has(self, text: str) -> bool:
        """Whether the font has all letters of a text."""
        return set(text) <= set("".join(self.letters.values()))

    def read(self, text: bytes) -> str:
        """A string as letters."""
        starts = range(0, len(text), self.width)
        numbers = (int.from_bytes(text[i : i + self.width], "big") for i in starts)
        return "".join(self.letters.get(number, "\ufffd") for number in numbers)


def read_letters(data: bytes, left: int) -> tuple[LetterTable, int]:
    """A font's ToUnicode table, up to a number of codes, and how many of these are left."""
    width, letters = 1, {}
    for part in data.split(b"beginbf", MAX_BLOCKS)[1:]:
        block, _, _ = part.partition(b"endbf")
        each = 2 if block.startswith(b"char") else 3
        fields = re.findall(rb"<([0-9A-Fa-f]{1,64})>|\[([^\[\]]*)\]", block)
        for at in range(0, len(fields) - each + 1, each):
            *codes, (target, several) = fields[at : at + each]
            first, last = int(codes[0][0] or b"0", 16), int(codes[-1][0] or b"0", 16)
            width = max(width, len(codes[0][0]) // 2)
            targets = re.findall(rb"<([0-9A-Fa-f]{1,64})>", several)
            for step in range(min(last - first + 1, left, 1 << 16)):
                if target and len(target) <= 4:
                    letters[first + step] = chr(int(target, 16) + step)
                elif target or step < len(targets):
                    digits = target or targets[step]
                    text = bytes.fromhex(digits[: len(digits) // 4 * 4].decode())
                    letters[first + step] = text.decode("utf-16-be", "replace")
                left -= 1
    return LetterTable(min(width, 4), letters), left


# The team


def check_team(survey: Survey) -> Iterator[str]:
    """Problems of team.csv, each with its line."""
    header = ",".join(TEAM_COLUMNS)
    if "team.csv" not in survey.files:
        yield f"team.csv is missing; its first line is {header}, then comes one line per member"
        return
    source = survey.files["team.csv"].read_bytes()
    conflict = conflict_in("team.csv", source)
    if conflict:
        yield conflict
        return
    try:
        text = source.decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        yield f"team.csv cannot be read ({error}); save it as CSV in UTF-8"
        return
    missing = [column for column in TEAM_COLUMNS if column not in (reader.fieldnames or ())]
    if not text.strip():
        yield f"team.csv is empty; its first line is {header}, then comes one line per member"
    elif missing:
        hint = ", with commas between them" if ";" in text or "\t" in text else ""
        yield (
            f"team.csv lacks {'the columns' if missing[1:] else 'the column'} {', '.join(missing)};"
            f" its first line must be {header}{hint}"
        )
    elif not any((row[column] or "").strip() for _, row in rows for column in TEAM_COLUMNS):
        yield "team.csv names nobody; add one line per member"
    else:
        seen: dict[str, int] = {}
        for line, row in rows:
            yield from check_member(f"team.csv, line {line}", row)
            netid = (row["NetID"] or "").strip()
            other = seen.setdefault(netid.lower(), line) if netid else line
            if other != line:
                yield f"team.csv, line {line}: the NetID {netid} is already in line {other}"


def check_member(where: str, row: dict) -> Iterator[str]:
    """Problems of one row of team.csv; a row of empty cells, as spreadsheets leave, is none."""
    if any(row.get(None, [])):
        yield f"{where}: more values than columns; put text that holds commas in double quotes"
        return
    values = {column: (row[column] or "").strip() for column in TEAM_COLUMNS}
    example = next(csv.DictReader(io.StringIO(TEAM_TEMPLATE)))
    empty = [column for column, value in values.items() if not value]
    if any(values[c].lower() == example[c].lower() for c in TEAM_COLUMNS):
        yield f"{where}: this is still the template's example; put your own team there"
    elif empty and len(empty) < len(values):
        yield f"{where}: nothing under {' and '.join(empty)}"
    elif re.search(r"[\s,;/]", values["NetID"]):
        yield f"{where}: '{values['NetID']}' is not one NetID; give each member a line"


# Code and configs


def check_code(survey: Survey) -> Iterator[str]:
    """Problems of Python and YAML files: mistakes of syntax, and absolute paths."""
    if "code" in survey.folders and not survey.names(("code",), ".py"):
        yield "code/ holds no Python file to hand in"
    for name in survey.names(("code", "configs"), ".py", ".yaml", ".yml"):
        source = survey.files[name].read_bytes()
        conflict = conflict_in(name, source)
        if conflict:
            yield conflict
            continue
        if name.lower().endswith(".py"):
            if len(source) > MAX_SOURCE:
                size = shown_size(len(source))
                yield f"{name} has {size}, more than the grader reads; move its data to a file"
                continue
            try:
                survey.trees[name] = parse_python(source)
            except SyntaxError as error:
                yield f"{name}, line {error.lineno}: {error.msg}"
                continue
            paths = list(absolute_paths(survey.trees[name]))
        else:
            text = source.decode("utf-8-sig", errors="replace")
            paths = [(line, s) for line, s in yaml_scalars(text) if is_absolute(s)]
        for line, path in sorted(paths):
            yield (
                f"{name}, line {line}: '{path}' is a path that only your computer has; make it "
                "relative"
            )


def conflict_in(name: str, source: bytes) -> str:
    """A sentence where git left a merge conflict in a file, else nothing."""
    match = CONFLICT.search(source)
    line = source.count(b"\n", 0, match.start()) + 1 if match else 0
    return f"{name}, line {line}: a merge conflict of git begins here; resolve it" if match else ""


def parse_python(source: bytes) -> ast.Module:
    """The tree of a Python file; runs nothing. Raises SyntaxError with line and message."""
    encoding = "utf-8"
    with contextlib.suppress(SyntaxError):
        encoding = tokenize.detect_encoding(io.BytesIO(source).readline)[0]
    try:
        with contextlib.suppress(LookupError):  # an unknown encoding: the parser has words for it
            source.decode(encoding)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
            compile(tree, "file", "exec", dont_inherit=True)  # finds what parsing alone does not
    except UnicodeDecodeError as error:
        message = "not UTF-8 text; save the file as UTF-8"
        line = source.count(b"\n", 0, error.start) + 1
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        version = "{}.{}".format(*sys.version_info)
        message = f"Python {version} cannot read this: {getattr(error, 'msg', error)}"
        line = getattr(error, "lineno", None) or 1
    else:
        return tree
    raise SyntaxError(message, ("", line, 0, ""))


def is_absolute(text: str) -> bool:
    """Whether a text is a path from the root, a home, a drive or a server, and not a regex."""
    match = ABSOLUTE.match(text)
    return bool(match and "\n" not in text and not (match["posix"] and REGEX.search(text)))


def absolute_paths(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of each string that is an absolute path and may be opened as one."""
    harmless = {id(part) for node in ast.walk(tree) for part in harmless_parts(node)}
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Constant, ast.JoinedStr)) or id(node) in harmless:
            continue
        parts: list[ast.expr] = node.values if isinstance(node, ast.JoinedStr) else [node]
        texts = [part.value if isinstance(part, ast.Constant) else "{}" for part in parts]
        text = "".join(t for t in texts if isinstance(t, str))
        if is_absolute(text):
            yield node.lineno, text


def harmless_parts(node: ast.AST) -> Sequence[ast.AST]:
    """Parts of a node that, as strings, are never opened as files: docstrings, help, ..."""
    if isinstance(node, ast.Expr):
        return [node.value]
    if isinstance(node, ast.JoinedStr):  # judged as a whole
        return node.values
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):  # folder + "/data/x.png"
        return [node.right]
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):  # @app.route("/api/draw")
        return [a for call in node.decorator_list for a in getattr(call, "args", [])]
    if isinstance(node, ast.Call):
        function = getattr(node.func, "attr", getattr(node.func, "id", ""))
        is_text = function in STRING_METHODS or function == "print"
        is_text = is_text or getattr(getattr(node.func, "value", None), "id", "") == "re"
        help_texts = [k.value for k in node.keywords if k.arg in HELP_ARGUMENTS]
        return help_texts + (node.args if is_text else [])
    return []


def yaml_scalars(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of each key and value of a YAML file, without comments and quotes."""
    for number, line in enumerate(text.splitlines(), 1):
        for token in YAML_TOKEN.finditer(line):
            quoted = token["quoted"]
            if quoted and quoted[0] == "'":
                yield number, quoted.strip("'")
            elif quoted:
                yield number, quoted.strip('"').replace("\\\\", "\\")
            elif token["plain"]:  # without tag, anchor, and the colon of {"key":value}
                yield number, re.sub(r"^(?:[!&]\S*\s+)+|^:", "", token["plain"]).strip("\"' ")


@dataclass(frozen=True)
class Stub:
    """A function that is not implemented."""

    scope: tuple[str, ...]  # names of classes and functions, the function's last
    file: str
    line: int
    is_core: bool  # as the starter has it, and worth points that everyone counts on

    def __str__(self) -> str:
        return f"{'.'.join(self.scope)} ({self.file}, line {self.line})"


def stubs(trees: dict[str, ast.Module]) -> list[Stub]:
    """Functions that still raise NotImplementedError; of the core also those that do nothing."""
    classes = [n for tree in trees.values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    extended = {getattr(b, "attr", getattr(b, "id", "")) for c in classes for b in c.bases}
    found: dict[tuple, Stub] = {}
    for name, tree in trees.items():
        in_core = name.split("/")[-1] in CORE_FILES
        for line, scope, message, in_branch in sorted(not_implemented(tree)):
            if NO_PART in message:
                continue
            # without a message in a class that others extend, it is a method for them to fill in
            if message or not extended.intersection(scope[:-1]):
                is_core = in_core and scope[-1] in CORE_FUNCTIONS
                is_core = is_core and ("TODO" in message or not in_branch)  # or an own limit
                found.setdefault((name, scope), Stub(scope, name, line, is_core))
        for line, scope in idle_functions(tree) if in_core else ():
            found.setdefault((name, scope), Stub(scope, name, line, True))
    return list(found.values())


def idle_functions(tree: ast.Module) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line and names of each method of the core that only passes, or returns None."""
    for parent in ast.walk(tree):
        if not isinstance(parent, ast.ClassDef):
            continue
        for node in parent.body:
            if not isinstance(node, ast.FunctionDef) or node.name not in CORE_FUNCTIONS:
                continue
            if all(map(is_idle, node.body)):
                yield node.lineno, (parent.name, node.name)


def is_idle(node: ast.stmt) -> bool:
    """Whether a statement does nothing: a docstring, pass, `...`, or a return of None."""
    if isinstance(node, ast.Return):
        return node.value is None or getattr(node.value, "value", node) is None
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def not_implemented(tree: ast.Module) -> Iterator[tuple[int, tuple[str, ...], str, bool]]:
    """Each such raise: its line, names of class and function, message, and whether under an if."""
    stack: list[tuple[ast.AST, tuple[str, ...], bool]] = [(tree, (), False)]
    while stack:
        node, scope, in_branch = stack.pop()
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            scope, in_branch = (*scope, node.name), False
        if isinstance(node, ast.Raise) and scope:
            call = node.exc if isinstance(node.exc, ast.Call) else None
            error = call.func if call else node.exc
            if getattr(error, "id", "") == "NotImplementedError":
                message = " ".join(map(ast.unparse, call.args)) if call else ""
                yield node.lineno, scope, message, in_branch
        in_branch = in_branch or isinstance(node, ast.If)
        stack.extend((child, scope, in_branch) for child in ast.iter_child_nodes(node))


def check_unfinished(survey: Survey) -> Iterator[str]:
    """Core parts that are still stubs; bonus parts may be."""
    for stub in stubs(survey.trees):
        if stub.is_core:
            yield f"{stub} is not implemented, and gets no points like this"


# Sizes, results, notebooks


def check_size(survey: Survey) -> Iterator[str]:
    """A problem where all files together, before compression, exceed the limit."""
    sizes = {name: path.stat().st_size for name, path in survey.files.items()}
    if sum(sizes.values()) > MAX_BYTES:
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:3]
        listed = ", ".join(f"{name} ({shown_size(sizes[name])})" for name in largest)
        yield (
            f"all files together have {shown_size(sum(sizes.values()))}, above the limit of "
            f"{shown_size(MAX_BYTES)}; the largest: {listed}"
        )


def check_model(model: Path | None) -> Iterator[str]:
    """Problems of the file that --with-model names."""
    if model and not model.is_file():
        yield f"--with-model: there is no file {model}"
    elif model and not is_unicode(model.name):
        yield f"--with-model: the name {model.name!r} is not valid Unicode; rename it"
    elif model and not os.access(model, os.R_OK):
        yield f"--with-model: {model} cannot be read; change its permissions"
    elif model and model.stat().st_size > MAX_MODEL:
        yield (
            f"--with-model: {model} has {shown_size(model.stat().st_size)}, above the limit of "
            f"{shown_size(MAX_MODEL)}; such an upload may take hours, so name a smaller model"
        )


def check_results(survey: Survey) -> Iterator[str]:
    """A warning where results/ holds nothing of the team's own."""
    names = survey.names(("results",), "")
    if "results" in survey.folders and set(names) <= {"results/README.md"}:
        what = "holds nothing but its README" if names else "is empty"
        yield f"results/ {what}; put there what did not fit into the report, if there is anything"


def check_notebooks(survey: Survey) -> Iterator[str]:
    """Warnings of notebooks that cannot be opened, or are long because of what they printed."""
    for name in survey.names(FOLDERS, ".ipynb"):
        if (size := survey.files[name].stat().st_size) > MAX_NOTEBOOK:
            yield long_notebook(name, size)
            continue
        try:
            cells = json.loads(survey.files[name].read_bytes())["cells"]
            size = sum(len(json.dumps(cell.get("outputs", []))) for cell in cells)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            yield f"{name} is not a notebook that Jupyter can open; save it again"
            continue
        if size > MAX_OUTPUTS:
            yield long_notebook(name, size)


def long_notebook(name: str, size: int) -> str:
    """What to do about a notebook with that many bytes of outputs."""
    command = f"jupyter nbconvert --clear-output --inplace {name}"
    return f"{name} holds {shown_size(size)} of outputs; clear them: {command}"


def shown_size(size: int) -> str:
    """A number of bytes for people."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1e3:.1f} kB"


# The zip, and the script itself


def write_zip(out: Path, survey: Survey, extra: dict[str, Path | bytes]) -> int:
    """Write the zip beside its place, read it back, move it there; returns the number of files."""
    filled = {name.split("/")[0] for name in survey.files}
    empty = {f"{folder}/": b"" for folder in survey.folders if folder not in filled}
    entries = {**survey.files, **empty, **extra}
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            for name in sorted(entries):
                add_entry(archive, name, entries[name])
        with zipfile.ZipFile(partial) as archive:
            damaged = archive.testzip()
        if damaged:
            raise OSError(0, f"{damaged} came back damaged from the disk")
        os.replace(partial, out)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return len(entries) - len(empty)


def add_entry(archive: zipfile.ZipFile, name: str, content: Path | bytes) -> None:
    """Add a file or an empty folder with a fixed time, fixed permissions and a fixed system."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = (0o40755 << 16 | 0x10) if name.endswith("/") else 0o100644 << 16
    # weights do not compress: trying costs a minute a GB
    stored = name.startswith("model/") or name.endswith("/")
    info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    info.file_size = content.stat().st_size if isinstance(content, Path) else len(content)
    source = open(content, "rb") if isinstance(content, Path) else io.BytesIO(content)  # noqa: SIM115
    with source, archive.open(info, "w") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def run_public_tests(grader: Path, archive: Path) -> None:
    """Run the public tests on the zip in a separate process, and say how they ended."""
    if not grader.is_file():
        print("There are no public tests here, so none were run.")
        return
    if importlib.util.find_spec("torch") is None:
        print(f"torch is not installed in {sys.executable}, so the public tests were not run.")
        return
    print(f"Running the public tests on {archive.name} (--no-check skips them) ...")
    command = [sys.executable, str(grader), "--public", str(archive)]
    with tempfile.TemporaryDirectory() as folder:  # what the tests leave behind goes with it
        tests = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            if tests.wait(CHECK_SECONDS):
                print(f"The public tests did not all pass (exit code {tests.returncode}).")
        except subprocess.TimeoutExpired:
            print(f"The public tests took more than {CHECK_SECONDS} seconds and were stopped.")
        except KeyboardInterrupt:
            print("The public tests were stopped.")
        finally:
            if hasattr(os, "killpg"):  # also ends what the tests have started
                with contextlib.suppress(OSError):
                    os.killpg(tests.pid, signal.SIGKILL)
            tests.kill()
            tests.wait()


def parse_args(root: Path) -> argparse.Namespace:
    """The flags; refuses an output that would overwrite the team's work."""
    parser = argparse.ArgumentParser(description="Check the homework and pack it into a zip.")
    default = root / "submission.zip"
    parser.add_argument("--out", metavar="FILE", type=Path, default=default, help="where to write")
    parser.add_argument("--with-model", metavar="FILE", type=Path, help="add a trained model")
    parser.add_argument("--force", action="store_true", help="write the zip despite problems")
    parser.add_argument("--no-check", action="store_true", help="do not run the public tests")
    args = parser.parse_args()
    if args.out.suffix.lower() != ".zip" or args.out.is_dir():  # may be team.csv, by a slip
        parser.error(f"--out must be a file that ends in .zip, not {args.out}")
    if not args.out.absolute().parent.is_dir():
        parser.error(f"--out: the folder {args.out.absolute().parent} does not exist")
    return args


def find_problems(survey: Survey, model: Path | None) -> list[str]:
    """What breaks the instructions for handing in, one sentence each."""
    problems = list(survey.problems)
    for check in (check_report, check_team, check_code, check_size):
        problems.extend(check(survey))
    return problems + list(check_model(model))


def find_warnings(survey: Survey, model: Path | None) -> list[str]:
    """What may be meant so, or is too small to stop for, one sentence each."""
    found = list(survey.warnings)
    for check in (check_age, check_results, check_notebooks):
        found.extend(check(survey))
    found.extend(check_names([*survey.files, *([f"model/{model.name}"] if model else [])]))
    return found


def print_notes(survey: Survey, model: Path | None) -> None:
    """Say what is left out, how large the model is, and which bonus parts are stubs."""
    for reason, names in survey.left_out.items():
        say(f"Left out, {reason}: {few(names)}")
    if model and model.is_file():
        say(f"Model, not counted in the limit: {model}, {shown_size(model.stat().st_size)}")
    others = [str(stub) for stub in stubs(survey.trees) if not stub.is_core]
    if others:
        say(f"Not implemented, as bonus parts may be: {few(others)}")


def few(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def say(line: str, file: TextIO | None = None) -> None:
    """Print one line, whose names may hold any characters."""
    letters = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    print("".join(letters), file=file or sys.stdout)


def say_list(title: str, lines: list[str], file: TextIO | None = None) -> None:
    """Print a list with its number, or nothing where it is empty."""
    if lines:
        say(f"{title} ({len(lines)}):", file)
    for line in lines:
        say(f"  - {line}", file)


def other_folder(root: Path) -> str:
    """One sentence where the script is not in the homework's folder, else nothing."""
    names = (f"libs/{name}" for name in CORE_FILES)
    if any(next((root / "code").rglob(name), None) for name in (*names, *CORE_FILES)):
        return ""
    near = [root.parent, Path.cwd(), *(path for path in root.iterdir() if path.is_dir())]
    other = next((path for path in near if (path / "code" / "libs").is_dir()), None)
    hint = f"that seems to be {other}; " if other else ""
    return (
        f"code/libs/ is missing in {root}, so this is not the homework's folder; {hint}put "
        "zip_submission.py beside code/, writeup/ and team.csv, and run it there"
    )


def check_and_pack(root: Path, args: argparse.Namespace) -> int:
    """Check the folder, write the zip and test it; returns the exit code."""
    out = args.out.absolute()
    survey = Survey(root, out)
    problems = find_problems(survey, args.with_model)
    answers = list(check_answers(survey))
    # what breaks no instruction, but gets no points as it is
    losses = [sentence for costs_points, sentence in answers if costs_points]
    losses += check_unfinished(survey)
    noted = [sentence for costs_points, sentence in answers if not costs_points]
    noted += find_warnings(survey, args.with_model)
    print_notes(survey, args.with_model)
    say_list("Warnings", noted)
    say_list("Problems", problems + losses, sys.stderr)
    old = f"the {out.name} that is there is an older one" if out.exists() else ""
    if (problems or losses) and not args.force:
        say(f"Nothing was written: mend these, or add --force{old and '; '}{old}", sys.stderr)
        return 2
    extra: dict[str, Path | bytes] = {}
    if problems:
        listed = "".join(f"  - {problem}\n" for problem in problems)
        extra["PROBLEMS.txt"] = listed.encode("utf-8", "backslashreplace")
    if args.with_model and args.with_model.is_file():
        extra[f"model/{args.with_model.name}"] = args.with_model
    try:
        number = write_zip(out, survey, extra)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        say(
            f"error: {out} was not written: {error.strerror}{place}; make room, or choose another "
            f"place with --out FILE{old and '; '}{old}",
            sys.stderr,
        )
        return 2
    if not args.no_check:
        run_public_tests(root / "autograder" / "grade.py", out)
    print(f"{out}: {shown_size(out.stat().st_size)}, {number} files")
    print(f"sha256 {sha256(out)}")
    return 0


def main() -> int:
    """Read the flags, check and pack; returns the exit code."""
    root = Path(os.path.abspath(__file__)).parent
    args = parse_args(root)
    try:
        mistake = other_folder(root)
        if mistake:
            say(f"error: {mistake}", sys.stderr)
        return 2 if mistake else check_and_pack(root, args)
    except BrokenPipeError:  # see `ending_with_its_reader`
        raise
    except OSError as error:
        say(f"error: {error.strerror}: {error.filename or ''}", sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("stopped; nothing was written", sys.stderr)
        return 130


@contextlib.contextmanager
def ending_with_its_reader() -> Iterator[None]:
    """Within this context, exit without a traceback once nobody reads the output (`| head`)."""
    try:
        yield
    except BrokenPipeError:
        if not _drop_unread():  # another pipe, such as a worker's
            raise
        sys.exit(141)  # as a shell says of a program that SIGPIPE ended
    finally:
        try:
            print(end="", flush=True)  # what is left for Python's own end would show a traceback
        except BrokenPipeError:
            _drop_unread()


def _drop_unread() -> bool:
    """Let what is written to pipes without a reader go nowhere; whether there are any."""
    found = False
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # no poll, or no file
            pipe = select.poll()
            pipe.register(stream.fileno(), 0)  # 0: errors alone, which are always reported
            if pipe.poll(0):
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), stream.fileno())
                found = True
    return found


def sha256(path: Path) -> str:
    """The hash of a file that may be larger than memory, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # a console may lack the letters of a file's name
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    with ending_with_its_reader():
        sys.exit(main())

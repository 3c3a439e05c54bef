"""The files of a zip or folder: names, sizes and bytes, none of them trusted.

Nothing is written here. Names are split and cleaned, links are not followed, archives inside the
archive are not opened, and sizes are enforced while reading instead of believing the headers.
"""

import contextlib
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import IO, BinaryIO

from autograder.reading.remarks import (
    Refused,
    RefusedForNow,
    Remarks,
    Unreadable,
    shown,
    shown_size,
)

MAX_ARCHIVE = 4 << 30  # bytes of a zip: a team may have left its data in
MAX_DIRECTORY = 6 << 20  # bytes of a zip's list of files, which must be read in one piece
BLOCK = 1 << 16  # bytes read at once
MAX_ENTRIES, MAX_FOLDERS = 50_000, 10_000  # files and folders; folders alone
MAX_RATIO, RATIO_FROM = 200, 100_000_000  # unpacked over packed size; checked above this many bytes
MAX_NAME, MAX_PATH, MAX_DEPTH = 255, 1000, 40  # bytes of a name and of a path, folders in folders
LITTER = {"__macosx", ".ds_store", "thumbs.db", "desktop.ini", "__pycache__", "site-packages"}
LITTER_LEFT_OUT = "Caches, environments and litter were left out"
LITTER |= {"node_modules", ".git", ".venv", ".ipynb_checkpoints", "pyvenv.cfg"}
OTHER_KINDS = {  # the first bytes of other files that teams name .zip
    b"Rar!\x1a\x07": "RAR archive",
    b"7z\xbc\xaf\x27\x1c": "7z archive",
    b"\x1f\x8b": "gzip archive",
    b"BZh": "bzip2 archive",
    b"\xfd7zXZ\0": "xz archive",
    b"\x28\xb5\x2f\xfd": "Zstandard archive",
    b"%PDF-": "PDF document",
    b"\x89PNG\r\n": "picture",
    b"\xff\xd8\xff": "picture",
    b"\xd0\xcf\x11\xe0": "Microsoft Office document",
}
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
SPARE = 1000  # bytes, in addition to 1%, by which a packed file may exceed its content
NAMES_OF_FILES = re.compile(r".*\.(?:py|zip)|team\.csv", re.IGNORECASE | re.DOTALL)
Name = tuple[str, ...]  # of a file or folder, split at the slashes


@dataclass(frozen=True)
class Entry:
    """One regular file of a submission."""

    parts: Name  # of its name; none is "..", empty, or has a slash or NUL
    size: int  # bytes, according to the header or the file system
    opener: Callable[[], IO[bytes]]  # may raise anything
    checksum: int | None = None  # CRC-32, according to the zip's header

    @property
    def path(self) -> str:
        """The name with folders, as handed in; show it to people through `shown`."""
        return "/".join(self.parts)

    @cached_property
    def suffix(self) -> str:
        """The suffix in lower case, with its dot; "" if there is none."""
        return os.path.splitext(self.parts[-1])[1].lower()

    def blocks(self, limit: int) -> Generator[bytes, None, None]:
        """Yield the content, piece by piece, at most `limit` bytes.

        Raises:
            Unreadable: the file is damaged, or has more bytes.
        """
        total = 0
        try:
            with self.opener() as file:
                while block := file.read(BLOCK):
                    total += len(block)
                    if total > limit:
                        raise Unreadable(f"is larger than {shown_size(limit)}")
                    yield block
        except (Unreadable, GeneratorExit):
            raise
        except OSError as error:
            raise Unreadable(f"cannot be read ({error.strerror or 'damaged'})") from error
        except Exception as error:  # zipfile and zlib raise a dozen kinds on damaged input
            raise Unreadable("is damaged") from error

    def start(self) -> bytes:
        """The first bytes: 1,024 or more, if the file has that many. Raises Unreadable."""
        blocks = self.blocks(BLOCK)
        try:
            return next(blocks, b"")
        finally:
            blocks.close()

    def read(self, limit: int) -> bytes:
        """The content of a file of at most `limit` bytes. Raises Unreadable."""
        if self.size > limit:
            raise Unreadable(f"has {shown_size(self.size)}, more than {shown_size(limit)}")
        return b"".join(self.blocks(limit))


@contextlib.contextmanager
def opened(path: Path, remarks: Remarks) -> Iterator[list[Entry]]:
    """The regular files of a zip or folder, sorted, readable within the `with`; adds remarks.

    Raises:
        Refused
    """
    with contextlib.ExitStack() as stack:
        try:
            mode = os.stat(path).st_mode
            if stat.S_ISDIR(mode):
                entries = folder_entries(Path(os.path.realpath(path)), remarks)
            elif stat.S_ISREG(mode):
                entries = zip_entries(stack.enter_context(open(path, "rb")), remarks)
            else:
                raise Refused("this is neither a zip nor a folder")
            tidy = tidied(entries, remarks)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise RefusedForNow(f"this cannot be read: {shown(str(why))}") from error
        yield tidy


class Folders:
    """The folders of a submission, each examined only once, however many files it has."""

    def __init__(self, is_bad: Callable[[Name], bool]) -> None:
        self.is_bad = is_bad
        self.found: dict[Name, bool] = {(): False}

    def add(self, folder: Name) -> bool:
        """Whether a folder or one above it is bad. Raises Refused for more than MAX_FOLDERS."""
        new = []
        while folder not in self.found:
            new.append(folder)
            folder = folder[:-1]
        bad = self.found[folder]
        for folder in reversed(new):
            bad = self.found[folder] = bad or self.is_bad(folder)
        if len(self.found) > MAX_FOLDERS:
            raise Refused(f"it holds more than {MAX_FOLDERS} folders: are data left in?")
        return bad


def tidied(entries: Iterable[Entry], remarks: Remarks) -> list[Entry]:
    """The entries without litter; each name occurs once, and not as both a file and a folder."""
    every = Folders(lambda folder: is_litter(folder[-1]))
    environments: set[Name] = set()
    kept = []
    for entry in entries:
        if entry.parts[-1].lower() == "pyvenv.cfg":
            environments.add(entry.parts[:-1])
        if every.add(entry.parts[:-1]) or is_litter(entry.parts[-1]):
            remarks.note(LITTER_LEFT_OUT, entry.path)
        else:
            kept.append(entry)
    clean = Folders((environments - {()}).__contains__)
    by_name: dict[Name, Entry] = {}
    for entry in kept:
        if clean.add(entry.parts[:-1]):
            remarks.note(LITTER_LEFT_OUT, entry.path)
            continue
        earlier = by_name.get(entry.parts)
        if earlier and (earlier.size, earlier.checksum) == (entry.size, entry.checksum):
            remarks.note("Names that occur twice with the same content", entry.path)
        elif earlier:
            remarks.look("Names that occur twice; the last one counts", entry.path)
        by_name[entry.parts] = entry
    folders = {folder for folder, bad in clean.found.items() if folder and not bad}
    for parts in sorted(folders & by_name.keys()):
        remarks.look("Names of both a file and a folder; the file was left out", "/".join(parts))
        del by_name[parts]
    for parts in sorted(folder for folder in folders if NAMES_OF_FILES.fullmatch(folder[-1])):
        remarks.look("Folders with the name of a file; no file was read there", "/".join(parts))
    compare_spellings([*folders, *by_name], remarks)
    return sorted(by_name.values(), key=lambda entry: entry.parts)


def compare_spellings(names: list[Name], remarks: Remarks) -> None:
    """Note which names differ in a way that macOS or Windows ignores."""
    both = "Names that macOS and Windows take for the same; both were kept"
    spellings: dict[str, list[Name]] = {}
    for parts in names:
        spellings.setdefault(folded("/".join(parts)), []).append(parts)
    for alike in spellings.values():
        if len(alike) > 1:
            remarks.look(both, *map("/".join, sorted(alike)))


def folded(name: str) -> str:
    """A name as compared by systems that ignore case and Unicode composition."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name cannot be part of the homework."""
    name = name.lower()
    in_family = name.startswith("._") or re.fullmatch(r".*\.pyc|\..*_cache", name, re.DOTALL)
    return name in LITTER or bool(in_family)


def cleaned(name: str, remarks: Remarks) -> Name | None:
    """The parts of a name, cleaned so that it stays inside its folder; None if that fails."""
    if "\\" in name:
        remarks.note("Backslashes in names were read as slashes", name)
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    outside = 0
    while parts[outside:] and (parts[outside] == ".." or re.fullmatch("[A-Za-z]:", parts[outside])):
        outside += 1
    if outside or name[:1] in ("/", "\\"):
        remarks.find("Names that lead out of the submission were cut to what follows", name)
    parts = parts[outside:]
    sizes = [len(part.encode("utf-8", "replace")) for part in parts]
    if "\0" in name or ".." in parts:
        remarks.look("Names with a NUL, or with '..' in the middle, were left out", name)
        return None
    if len(parts) > MAX_DEPTH or sum(sizes) > MAX_PATH or max(sizes, default=0) > MAX_NAME:
        remarks.note("Names that are too long or too deep were left out", name)
        return None
    return tuple(parts)


def folder_entries(root: Path, remarks: Remarks) -> Iterator[Entry]:
    """Yield the regular files below a folder; raises Refused for more than MAX_ENTRIES."""
    stack: list[Name] = [()]
    seen = visited = 0
    while stack:
        visited += 1
        if visited > MAX_FOLDERS:
            raise Refused(f"it holds more than {MAX_FOLDERS} folders: are data left in?")
        folder = stack.pop()
        where = os.path.join(root, *folder)
        try:
            with os.scandir(where) as found:
                kept = (child for child in found if not is_litter(child.name))
                children = sorted(kept, key=lambda child: child.name)  # disks have their own order
        except OSError as error:
            remarks.look(f"Folders that cannot be read ({error.strerror})", "/".join(folder) or ".")
            continue
        if folder and os.path.isfile(os.path.join(where, "pyvenv.cfg")):
            continue
        seen += len(children)
        if seen > MAX_ENTRIES:
            raise Refused(f"it holds more than {MAX_ENTRIES} files: are data left in?")
        for child in children:
            parts = (*folder, child.name)
            if child.is_symlink():
                add_link("/".join(parts), remarks)
            elif child.is_dir(follow_symlinks=False):
                if cleaned("/".join(parts), remarks):
                    stack.append(parts)
            elif child.is_file(follow_symlinks=False):
                name = cleaned("/".join(parts), remarks)
                size = child.stat(follow_symlinks=False).st_size
                if name:
                    yield Entry(name, size, partial(open_regular, child.path))
            else:
                remarks.look("Pipes, devices and the like were left out", "/".join(parts))


def open_regular(path: str) -> BinaryIO:
    """Open a file, unless it is a link, a pipe or anything else that could block."""
    flags = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")  # not all on every system
    number = os.open(path, os.O_RDONLY | sum(getattr(os, flag, 0) for flag in flags))
    file = os.fdopen(number, "rb")
    if not stat.S_ISREG(os.fstat(number).st_mode):
        file.close()
        raise OSError(0, "not a regular file")
    return file


def add_link(name: str, remarks: Remarks) -> None:
    """Note that a link is not followed; ask a person to look if it is in place of code."""
    remarks.note("Links were not followed", name)
    last = name.rstrip("/").split("/")[-1].lower()
    if last.endswith(".py") or last in ("libs", "code"):
        remarks.look("Links in place of code were not followed", name)


def zip_entries(file: BinaryIO, remarks: Remarks) -> Iterator[Entry]:
    """Yield the regular files of a zip. Raises Refused."""
    size = refuse_other_kinds(file)
    try:
        archive = zipfile.ZipFile(_Capped(file))
    except Refused:
        raise
    except UnicodeDecodeError as error:
        raise Refused(
            "a name in the zip is marked as UTF-8 and is not: ask for a new zip"
        ) from error
    except NotImplementedError as error:
        raise Refused(f"the zip needs a newer program ({error}): ask for a plain zip") from error
    except Exception as error:  # zipfile raises a dozen kinds on damaged input
        raise Refused("the zip is damaged or was cut off: ask the team to upload again") from error
    found = archive.infolist()
    unpacked = sum(info.file_size for info in found)
    if len(found) > MAX_ENTRIES:
        raise Refused(f"the zip lists more than {MAX_ENTRIES} files: are data left in?")
    if not found:
        raise Refused("the zip holds no files")
    if sum(info.compress_size for info in found) > size:
        raise Refused("files overlap in the zip, as in a zip bomb: ask the team to upload again")
    if unpacked > RATIO_FROM and unpacked > MAX_RATIO * size:
        raise Refused(
            f"the zip of {shown_size(size)} says it unpacks to {shown_size(unpacked)}: a zip bomb"
        )
    for info in found:
        parts = cleaned(name_of(info), remarks)
        mode = info.external_attr >> 16
        if not parts or info.orig_filename[-1:] in ("/", "\\") or stat.S_ISDIR(mode):
            continue
        if stat.S_ISLNK(mode):
            add_link("/".join(parts), remarks)
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            remarks.look("Pipes, devices and the like were left out", "/".join(parts))
        else:
            yield Entry(parts, info.file_size, partial(open_packed, archive, info), info.CRC)


def name_of(info: zipfile.ZipInfo) -> str:
    """An entry's name; UTF-8 without the flag for it, as macOS writes it, is recognised."""
    with contextlib.suppress(UnicodeError):
        if not info.flag_bits & 0x800:
            return info.orig_filename.encode("cp437").decode("utf-8")
    return info.orig_filename


def open_packed(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """Open one entry of a zip; only stored and deflated ones, which unpack in bounded memory."""
    if info.flag_bits & 0x41:
        raise Unreadable("is encrypted with a password")
    if info.compress_type not in (STORED, DEFLATED):
        raise Unreadable(f"is packed with method {info.compress_type}, which no plain zip uses")
    if info.compress_size > info.file_size * 1.01 + SPARE:
        raise Unreadable("is damaged")  # packing never makes a file that much longer
    return archive.open(info)


def refuse_other_kinds(file: BinaryIO) -> int:
    """The size of a file that may be a zip; raises Refused for a file that is something else."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(512)
    file.seek(max(0, size - (1 << 16) - 22))
    end = file.read((1 << 16) + 22)
    if not size:
        raise Refused("the file is empty (0 bytes): ask the team to upload again")
    if size > MAX_ARCHIVE:
        raise Refused(f"the zip has {shown_size(size)}: ask for one without data and models")
    kind = next((kind for magic, kind in OTHER_KINDS.items() if start.startswith(magic)), None)
    if start[257:262] == b"ustar":
        kind = "tar archive"
    if re.match(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml)", start, re.IGNORECASE):
        kind = "web page"
    if kind:
        raise Refused(f"this is a {kind} with a zip's name: ask the team for a zip")
    last = end[end.rfind(b"PK\5\6") :][:8] if b"PK\5\6" in end else b""
    disks = last[4:] or (b"no end" if start[:4] == b"PK\7\x08" else b"")
    if disks not in (b"", b"\0\0\0\0", b"\xff\xff\xff\xff"):
        raise Refused("this is one of several parts of a split zip: ask the team for a single zip")
    if start[:4] not in (b"PK\3\4", b"PK\5\6") and not last:
        raise Refused("this is not a zip, whatever its name says: ask the team for a zip")
    return size


class _Capped:
    """Bounds each read for zipfile, which reads a zip's list of files in one piece."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(min(size, MAX_DIRECTORY + 1) if size >= 0 else MAX_DIRECTORY + 1)
        if len(data) > MAX_DIRECTORY:
            raise Refused("the zip's list of files is too long: are data left in?")
        return data

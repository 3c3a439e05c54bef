"""Zips that are damaged, encrypted, bombs, or none at all are refused with the reason."""

import copy
import io
import os
import shutil
import struct
import tarfile
import zipfile
import zlib

import pytest
from autograder.reading import archives, program

from helpers.hand_ins import (
    CODE,
    COMPLETE,
    DDPM,
    JPEG,
    LIBS,
    PNG,
    UNET,
    copied,
    patch_headers,
    read,
    read_zip,
    refused,
    write_folder,
    write_zip,
)

# Refused, with the reason


def tar_bytes() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("code/libs/ddpm.py")
        info.size = len(DDPM)
        archive.addfile(info, io.BytesIO(DDPM))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"Rar!\x1a\x07\x01\x00" + b"x" * 99, "RAR archive"),
        (b"Rar!\x1a\x07\x00" + b"x" * 99, "RAR archive"),
        (b"7z\xbc\xaf\x27\x1c" + b"x" * 99, "7z archive"),
        (tar_bytes(), "tar archive"),
        (b"\x1f\x8b\x08" + b"x" * 99, "gzip archive"),
        (b"BZh91AY" + b"x" * 99, "bzip2 archive"),
        (b"\xfd7zXZ\0" + b"x" * 99, "xz archive"),
        (b"%PDF-1.7" + b"x" * 99, "PDF document"),
        (b"\n <!DOCTYPE html><title>Log in</title>", "web page"),
        (b"\xef\xbb\xbf<HTML>", "web page"),
        (PNG, "picture"),
        (JPEG, "picture"),
        (b"", "empty"),
        (b"submission", "not a zip"),
        (b"\0" * 1000, "not a zip"),
        (b"PK\5\6" + b"\0" * 18, "no files"),
        (b"PK\7\x08PK\3\4" + b"x" * 99, "split zip"),
        (b"PK\3\4" + b"x" * 99, "cut off"),
    ],
)
def test_what_is_no_zip_is_named(tmp_path, content, word):
    """Other kinds of files that are called .zip are named by what they are."""
    (tmp_path / "team-07.zip").write_bytes(content)
    refused(tmp_path / "team-07.zip", word)


def test_rar_that_holds_a_zip_is_a_rar(tmp_path):
    """A zip inside a RAR archive does not make it a zip."""
    write_zip(tmp_path / "a.zip", COMPLETE)
    (tmp_path / "team-07.zip").write_bytes(b"Rar!\x1a\x07\0" + (tmp_path / "a.zip").read_bytes())
    refused(tmp_path / "team-07.zip", "RAR archive", "ask the team for a zip")


def test_not_there_or_no_file(tmp_path):
    """Missing paths, pipes and empty folders are refused with the reason."""
    refused(tmp_path / "team-07.zip", "No such file")
    refused(tmp_path / "a\0b.zip", "cannot be read")
    os.mkfifo(tmp_path / "pipe.zip")
    refused(tmp_path / "pipe.zip", "neither a zip nor a folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no libs/ddpm.py or libs/unet.py anywhere", "no files")


def test_without_code(tmp_path):
    """A zip without code is refused, and says what it holds instead."""
    refused(write_zip(tmp_path / "a.zip", {"report.docx": b"1"}), "anywhere", "report.docx")
    inner = write_zip(tmp_path / "inner.zip", COMPLETE).read_bytes()
    refused(write_zip(tmp_path / "b.zip", {"hw/submission.zip": inner}), "not opened", "submission")
    names = {"x/../../code/libs/ddpm.py": DDPM}
    refused(write_zip(tmp_path / "c.zip", names), "anywhere", "'..' in the middle")


def test_every_cut_is_refused(tmp_path):
    """A truncated upload is one sentence, wherever it was cut."""
    whole = write_zip(tmp_path / "whole.zip", CODE).read_bytes()
    for size in range(1, len(whole), 37):
        (tmp_path / "cut.zip").write_bytes(whole[:size])
        refused(tmp_path / "cut.zip", "zip")


def test_wrong_checksum(tmp_path):
    """Of a graded module: refused. Of something that no grade hangs on: left out, with a note."""
    files = {**COMPLETE, "code/notes.txt": b"some more text"}
    data = write_zip(tmp_path / "a.zip", files, zipfile.ZIP_STORED).read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace(DDPM, DDPM.upper()))
    refused(tmp_path / "a.zip", "code/libs/ddpm.py is damaged")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.zip").write_bytes(data.replace(b"some more", b"some less"))
    submission = read(tmp_path / "in" / "b.zip")
    assert "notes.txt" not in copied(submission)
    assert any("code/notes.txt is damaged" in note for note in submission.notes)


def test_damaged_modules_that_nothing_graded_imports(tmp_path):
    """They are left out for a person to see; what the graded modules need refuses all."""
    ddpm = b"from .blocks import (\n    A,\n)\nfrom . import (\n    near,\n)\nimport libs.far\n"
    files = {
        **COMPLETE,
        "code/libs/ddpm.py": ddpm + DDPM,
        "code/libs/near.py": b"from .more import x",
    }
    files |= {f"code/libs/{name}.py": b"x = 1" for name in ("far", "more", "alone")}
    files |= {"code/tools/near.py": b"y = 2", "code/libs/metrics/plot.py": b"y = 2"}
    files |= {f"code/{number}.py": b"y = 2" for number in range(30)}
    data = write_zip(tmp_path / "a.zip", files, zipfile.ZIP_STORED).read_bytes()

    def damaged(*names):
        changed = data
        for name in names:
            changed = patch_headers(changed, name, 6, 8, b"\1\0")
        (tmp_path / "a.zip").write_bytes(changed)
        return tmp_path / "a.zip"

    for name in ("near", "more", "far", "blocks", "unet", "__init__"):
        refused(damaged(f"code/libs/{name}.py"), f"{name}.py is encrypted", "upload again")
        shutil.rmtree(tmp_path / "work")
    unneeded = "code/libs/alone.py", "code/tools/near.py", "code/libs/metrics/plot.py"
    submission = read(damaged("code/train.py", *unneeded))
    assert any("4 files" in look or "and 1 more" in look for look in submission.needs_look)
    assert {"libs/near.py", "0.py"} <= set(copied(submission))
    assert not {name.removeprefix("code/") for name in unneeded} & set(copied(submission))
    many = read(damaged(*(f"code/{number}.py" for number in range(30))), "many")
    assert any("after many damaged ones" in look for look in many.needs_look)


def test_encrypted(tmp_path):
    """An encrypted file is named."""
    data = write_zip(tmp_path / "a.zip", COMPLETE).read_bytes()
    locked = patch_headers(data, "code/libs/unet.py", 6, 8, b"\1\0")
    (tmp_path / "a.zip").write_bytes(locked)
    refused(tmp_path / "a.zip", "code/libs/unet.py is encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packing_methods(tmp_path, method):
    """Python's zipfile unpacks these without a bound on memory."""
    refused(write_zip(tmp_path / "a.zip", COMPLETE, method), f"method {method}")


def test_unknown_packing_method(tmp_path):
    """A packing method that Python does not know is named by its number."""
    data = write_zip(tmp_path / "a.zip", COMPLETE).read_bytes()
    unknown = patch_headers(data, "code/libs/unet.py", 8, 10, b"\x63\0")
    (tmp_path / "a.zip").write_bytes(unknown)
    refused(tmp_path / "a.zip", "method 99")


def test_last_part_of_a_split_zip(tmp_path):
    """A part of a split zip is refused, with what to ask for."""
    data = write_zip(tmp_path / "a.zip", COMPLETE).read_bytes()
    end = data.rfind(b"PK\5\6")
    (tmp_path / "a.zip").write_bytes(data[: end + 4] + b"\1\0\1\0" + data[end + 8 :])
    refused(tmp_path / "a.zip", "split zip", "single zip")


def test_name_that_is_not_the_utf8_it_claims(tmp_path):
    """A name that claims to be UTF-8 and is not is refused, not guessed."""
    data = write_zip(tmp_path / "a.zip", {**COMPLETE, "zoë.txt": b"1"}).read_bytes()
    assert data.count("ë".encode()) == 2
    (tmp_path / "a.zip").write_bytes(data.replace("ë".encode(), b"\xff\xfe"))
    refused(tmp_path / "a.zip", "UTF-8")


def test_version_of_the_future(tmp_path):
    """A zip that needs a newer program is refused with a sentence."""
    data = write_zip(tmp_path / "a.zip", COMPLETE).read_bytes()
    (tmp_path / "a.zip").write_bytes(patch_headers(data, "team.csv", 4, 6, b"\xff\0"))
    refused(tmp_path / "a.zip", "newer program")


# Bombs


def deflated_zeros(size: int) -> bytes:
    """Deflate's stream of so many zero bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    blocks = [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join(blocks) + packer.flush()


def overlapping_bomb(size: int, files: int) -> bytes:
    """A zip whose entries all share one stream of zeros: a ratio far above what deflate can do."""
    stream, checksum = deflated_zeros(size), 0
    for _ in range(size >> 20):
        checksum = zlib.crc32(bytes(1 << 20), checksum)
    fields = struct.pack("<HHHHHIII", 20, 0, 8, 0, 33, checksum, len(stream), size)
    local = b"PK\3\4" + fields + struct.pack("<HH", 9, 0) + b"code/a.py" + stream
    central = b"".join(
        b"PK\1\2"
        + struct.pack("<H", 20)
        + fields
        + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0)
        + name
        for name in [b"code/a.py"] * files
    )
    end = struct.pack("<HHHHIIH", 0, 0, files, files, len(central), len(local), 0)
    return local + central + b"PK\5\6" + end


def test_bombs_by_ratio(tmp_path):
    """A zip that unpacks to far more than its own size is refused, also if entries overlap."""
    plain = tmp_path / "plain.zip"
    with zipfile.ZipFile(plain, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("code/libs/ddpm.py", bytes(110 << 20))
    assert (110 << 20) / plain.stat().st_size > 1000
    refused(plain, "zip bomb", "115.3 MB")
    shared = tmp_path / "shared.zip"
    shared.write_bytes(overlapping_bomb(1 << 20, 180))
    assert (180 << 20) / shared.stat().st_size > 1000
    refused(shared, "zip bomb")


def test_bombs_below_the_ratio_are_never_unpacked(tmp_path, monkeypatch):
    """What is above the limit for a file is left out unread, and the rest is graded."""
    reads: list[int] = []
    blocks = archives.Entry.blocks

    def counted(self, limit):
        for block in blocks(self, limit):
            reads.append(len(block))
            yield block

    monkeypatch.setattr(archives.Entry, "blocks", counted)
    files = {**COMPLETE, "code/bomb.py": bytes(5 << 20), "code/bomb.txt": bytes(40 << 20)}
    submission = read_zip(tmp_path, files)
    assert copied(submission)["libs/ddpm.py"] == DDPM
    assert not {"bomb.py", "bomb.txt"} & copied(submission).keys()
    assert "code/bomb.py" in " ".join(submission.needs_look)
    assert "code/bomb.txt" in " ".join(submission.notes)
    assert sum(reads) < 100_000


def test_headers_that_lie_about_sizes(tmp_path):
    """A stream of 20 MB that claims 10 bytes: no more than those are ever written."""
    path = write_zip(tmp_path / "a.zip", {**COMPLETE, "code/bomb.txt": bytes(20 << 20)})
    small = patch_headers(path.read_bytes(), "code/bomb.txt", 22, 24, struct.pack("<I", 10))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.zip").write_bytes(small)
    submission = read(tmp_path / "in" / "a.zip")
    assert sum(map(len, copied(submission).values())) < 10_000
    assert any("code/bomb.txt is damaged" in note for note in submission.notes)
    large = patch_headers(path.read_bytes(), "team.csv", 22, 24, struct.pack("<I", 90_000))
    (tmp_path / "in" / "b.zip").write_bytes(large)
    submission = read(tmp_path / "in" / "b.zip", "work-b")
    assert len(submission.members) == 2  # to claim more than there is gains nothing


def test_more_bytes_than_announced_are_not_read(tmp_path):
    """Of a file that grows, or of a reader that ignores the header."""
    entry = archives.Entry(("a.py",), 5, lambda: io.BytesIO(bytes(1 << 20)))
    with pytest.raises(archives.Unreadable, match="larger"):
        entry.read(100_000)
    assert entry.read(1 << 20) == bytes(1 << 20)


def test_bombs_by_count(tmp_path, monkeypatch):
    """More files than the limit are refused, in zips and folders."""
    monkeypatch.setattr(archives, "MAX_ENTRIES", 20)
    many = {**COMPLETE, **{f"code/{i}.txt": b"" for i in range(20)}}
    refused(write_zip(tmp_path / "a.zip", many), "more than 20 files")
    refused(write_folder(tmp_path / "b", many), "more than 20 files")
    monkeypatch.setattr(archives, "MAX_DIRECTORY", 1000)
    refused(tmp_path / "a.zip", "list of files is too long")


def test_bombs_by_folders(tmp_path, monkeypatch):
    """Also of folders that hold nothing, and of those that would be left out as litter."""
    monkeypatch.setattr(archives, "MAX_FOLDERS", 20)
    for inside in ("x.txt", "__pycache__/x.pyc"):
        many = {**COMPLETE, **{f"code/{i}/{inside}": b"" for i in range(20)}}
        refused(write_zip(tmp_path / "a.zip", many), "more than 20 folders")
    refused(write_folder(tmp_path / "b", many), "more than 20 folders")
    deep = {**COMPLETE, "/".join("d" * 30): b""}
    refused(write_zip(tmp_path / "c.zip", deep), "more than 20 folders")


def test_a_remark_keeps_the_first_names_alone(tmp_path):
    """A zip may list 50,000 files that are left out; what is kept of them is what is shown."""
    remarks = archives.Remarks()
    for i in range(1000):
        remarks.note("Odd", f"{i}.txt")
    assert len(remarks.notes["Odd"].first) == 3
    assert program.listed(remarks.notes) == ["Odd: 0.txt, 1.txt, 2.txt and 997 more"]


def test_packed_files_that_share_their_bytes(tmp_path):
    """Entries of a zip's list that all lead to the same packed file unpack to far more than it."""
    path = write_zip(tmp_path / "a.zip", {**COMPLETE, "code/x.bin": os.urandom(4000)})
    with zipfile.ZipFile(path, "a") as archive:
        (big,) = [info for info in archive.infolist() if info.filename == "code/x.bin"]
        for i in range(9):
            info = copy.copy(big)
            info.filename = f"code/{i}.bin"
            archive.filelist.append(info)
        archive._didModify = True
    refused(path, "overlap")


def test_packed_files_longer_than_their_content(tmp_path):
    """Empty blocks without end cost time, and give nothing."""
    path = write_zip(tmp_path / "a.zip", {"code/libs/x.py": b"", **COMPLETE}, zipfile.ZIP_STORED)
    empty = b"\0\0\0\xff\xff" * 10_000 + b"\1\0\0\xff\xff"
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("code/libs/y.py")
        archive.writestr(info, empty)
        info.compress_type, info.file_size, info.CRC = zipfile.ZIP_DEFLATED, 0, 0
    assert any("y.py is damaged" in look for look in read(path).needs_look)


def test_few_of_many_damaged_files_are_tried(tmp_path, monkeypatch):
    """Of pictures and PDFs that are none; a picture that claims to be gigantic is not read."""
    started, whole = [], []
    monkeypatch.setattr(
        archives.Entry, "start", lambda entry: started.append(entry.path) or PNG[:16] + b"\xff" * 9
    )
    read_all = archives.Entry.read
    monkeypatch.setattr(
        archives.Entry, "read", lambda e, limit: whole.append(e.suffix) or read_all(e, limit)
    )
    bad = {f"results/{i}.png": b"x" for i in range(100)}
    bad |= {f"writeup/{i}.pdf": b"x" for i in range(100)}
    submission = read_zip(tmp_path, {**COMPLETE, **bad})
    assert len(started) <= 40
    assert not submission.samples
    assert not {".png", ".pdf"} & set(whole)


@pytest.mark.parametrize("name", ["code/libs/ddpm.py", "code/libs/DDPM.py", "team.csv", "a.zip"])
def test_folders_with_the_name_of_a_file(tmp_path, name):
    """A folder named like a graded file is reported and breaks nothing."""
    files = {n: content for n, content in COMPLETE.items() if n.lower() != name.lower()}
    files[f"{name}/x.txt"] = b""
    for submission in (
        read_zip(tmp_path, files),
        read(write_folder(tmp_path / "other" / "folder", files), "more"),
    ):
        (look,) = [look for look in submission.needs_look if "name of a file" in look]
        assert name in look


def test_nesting(tmp_path):
    """An archive inside stays closed; a tower of folders is cut."""
    inner = write_zip(tmp_path / "inner.zip", COMPLETE).read_bytes()
    deep = "/".join(["d"] * 300)
    files = {**COMPLETE, "code/more.zip": inner, f"code/{deep}/x.py": b"", "code/x.rar": b"1"}
    submission = read_zip(tmp_path, files)
    names = copied(submission).keys()
    known = {name for name in COMPLETE if name.startswith(("code/", "configs/"))}
    assert names == {name.removeprefix("code/") for name in known}
    assert any("not opened" in n and "more.zip" in n and "x.rar" in n for n in submission.notes)
    assert any("too deep" in note for note in submission.notes)


def test_limits_keep_what_matters(tmp_path, monkeypatch):
    """Where there is too much, the modules come before everything else."""
    monkeypatch.setattr(program, "MAX_CODE_FILES", len(LIBS) + 1)
    files = {f"code/a{i}.txt": b"1" for i in range(5)} | {"code/aa/a.yaml": b"1"}
    files |= {"code/a.py": b"1", "code/b.py": b"1"}
    submission = read_zip(tmp_path, {**files, **CODE})
    assert len(copied(submission)) == len(LIBS) + 1
    assert {name: copied(submission)[f"libs/{name}"] for name in LIBS} == LIBS
    shutil.rmtree(tmp_path / "in")
    monkeypatch.setattr(program, "MAX_CODE_BYTES", 100)
    submission = read_zip(tmp_path, {"code/a.txt": bytes(90), **CODE})
    assert "a.txt" not in copied(submission)
    assert copied(submission)["libs/unet.py"] == UNET

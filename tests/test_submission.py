"""Reading what teams hand in: each odd, careless or hostile zip or folder is handled or refused."""

import base64
import copy
import hashlib
import importlib.util
import io
import marshal
import os
import random
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from autograder.reading import archives, program
from autograder.reading.submission import (
    Refused,
    Submission,
    find_submissions,
    names_of,
    open_submission,
)
from autograder.text import alike

from helpers.files import ROOT, any_name
from helpers.scripts import run_script

KIT = ROOT / "code"
DDPM, UNET = b"class DDPM: pass\n", b"class UNet: pass\n"
LIBS = {f"{name}.py": b"" for name in ("__init__", "blocks", "schedules", "tiny_autoencoder")}
LIBS |= {f"{name}.py": b"" for name in ("utils", "latent_space")}
LIBS |= {"ddpm.py": DDPM, "unet.py": UNET}
CODE = {f"code/libs/{name}": content for name, content in LIBS.items()}
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 64, 64) + b"\x08\2\0\0\0...."
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x11\x08\0\x40\0\x40\3\xff\xd9"
COMPLETE = {
    **CODE,
    "code/train.py": b"print('trains')\n",
    "configs/mnist.yaml": b"model_name: DDPM\n",
    "writeup/report.pdf": b"%PDF-1.7 a report",
    "results/README.md": b"none\n",
    "team.csv": "member,NetID,contribution\nÅsa Öberg,asa1,UNet\nBo Li,bo2,all else\n".encode(),
}
Files = dict[str, bytes]


def write_zip(path: Path, files: Files, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip of these files, in their order; returns its path."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, files: Files) -> Path:
    """A folder of these files; returns its path."""
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def copied(submission: Submission) -> Files:
    """Names and contents of the copy that a worker would get, without what Python would cache."""
    folder = submission.code_folder
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def read(path: Path, name: str = "work") -> Submission:
    """Open a submission in a folder far below its own, and see that it writes nowhere else."""
    work = path.parent / "a" / "place" / "far" / "below" / name
    work.parent.mkdir(parents=True, exist_ok=True)

    def outside() -> set[Path]:
        return {p for p in path.parent.rglob("*") if p != work and work not in p.parents}

    before = outside()
    submission = open_submission(path, work, KIT)
    assert outside() == before
    for kind in (submission.notes, submission.needs_look, submission.findings):
        assert all(text.isprintable() for text in kind), kind
    assert [path.name for path in work.iterdir()] == ["code"]
    return submission


def read_zip(tmp_path: Path, files: Files) -> Submission:
    """Zip these files and open the zip."""
    (tmp_path / "in").mkdir(exist_ok=True)
    return read(write_zip(tmp_path / "in" / "team-07.zip", files))


def refused(path: Path, *words: str) -> None:
    """Opening must end as one sentence with these words."""
    with pytest.raises(Refused) as error:
        open_submission(path, path.parent / "work", KIT)
    text = str(error.value)
    assert text.isprintable()
    assert 10 < len(text) < 400
    for word in words:
        assert word in text


def patch_headers(data: bytes, name: str, at_local: int, at_central: int, value: bytes) -> bytes:
    """Overwrite a field in an entry's local and central header."""
    changed = bytearray(data)
    for magic, length, at in ((b"PK\3\4", 30, at_local), (b"PK\1\2", 46, at_central)):
        start = -1
        while (start := data.find(magic, start + 1)) >= 0:
            if data[start + length : start + length + len(name)] == name.encode():
                changed[start + at : start + at + len(value)] = value
    assert bytes(changed) != data
    return bytes(changed)


# --- what a careful team hands in


def test_a_zip_of_zip_submission_has_nothing_odd(tmp_path):
    """The script that writes the zips and this reader agree: no note, no finding, all is there."""
    litter = ["code/data/x.bin", "results/x.npz", "results/runs/a", "code/wandb/run/config.yaml"]
    litter += ["results/a.onnx", "code/.env", "results/submission.zip", "code/.DS_Store"]
    root = write_folder(tmp_path / "home work", {**COMPLETE, **dict.fromkeys(litter, b"1")})
    shutil.copy(ROOT / "zip_submission.py", root)
    archive = tmp_path / "submission.zip"
    command = [sys.executable, "-I", root / "zip_submission.py", "--no-check", "--out", archive]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    submission = read(archive)
    assert submission.notes == submission.needs_look == submission.findings == []
    assert copied(submission) == {
        **{name[5:]: c for name, c in CODE.items()},
        "train.py": COMPLETE["code/train.py"],
        "configs/mnist.yaml": COMPLETE["configs/mnist.yaml"],  # which modules may read
    }
    assert submission.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert submission.name == "submission.zip"
    assert submission.team == tmp_path.name  # of the folder, since teams hand in "submission.zip"
    assert submission.members == [
        {"member": "Åsa Öberg", "netid": "asa1", "contribution": "UNet"},
        {"member": "Bo Li", "netid": "bo2", "contribution": "all else"},
    ]


def test_a_worker_without_rights_can_read_the_copy(tmp_path):
    """The copied code can be read by another user, under any umask."""
    old = os.umask(0o077)
    try:
        submission = read_zip(tmp_path, {**COMPLETE, "code/a/b/c.py": b""})
    finally:
        os.umask(old)
    modes = {p.is_dir(): stat.S_IMODE(p.stat().st_mode) for p in submission.code_folder.rglob("*")}
    assert modes == {True: 0o755, False: 0o644}
    assert stat.S_IMODE(submission.code_folder.stat().st_mode) == 0o755
    assert stat.S_IMODE(submission.code_folder.parent.stat().st_mode) == 0o755


def test_a_folder_is_read_like_its_zip(tmp_path):
    """A folder and its zip give the same files, members and remarks."""
    folder = write_folder(tmp_path / "a" / "team-07", COMPLETE)
    from_folder, from_zip = read(folder), read_zip(tmp_path, COMPLETE)
    assert copied(from_folder) == copied(from_zip)
    assert from_folder.members == from_zip.members
    assert from_folder.notes == from_folder.findings == []
    assert (from_folder.name, from_folder.team) == ("team-07", "team-07")


def test_hash_of_a_folder(tmp_path):
    """Names and contents count; times, order and data do not."""

    def digest(name: str, files: Files) -> str:
        return read(write_folder(tmp_path / name / "team-07", files)).sha256

    first = digest("a", COMPLETE)
    reverse = dict(reversed(list(COMPLETE.items())))
    assert len(first) == 64
    assert digest("b", {**reverse, "data/x.bin": b"1", ".DS_Store": b"2"}) == first
    assert digest("c", {**COMPLETE, "code/libs/unet.py": b"pass\n"}) != first
    assert digest("d", {**COMPLETE, "code/libs/more.py": b""}) != first
    moved = {("code/tr.py" if name == "code/train.py" else name): c for name, c in COMPLETE.items()}
    assert digest("e", moved) != first


# --- where the code lies


@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        ("homework/", "code/libs/"),
        ("homework/diffusion-main/", "code/libs/"),
        ("", "code/code/libs/"),
        ("", "src/libs/"),
        ("", "libs/"),
        ("", "code/"),  # ddpm.py and unet.py alone
        ("", ""),
        ("data/logs/", "code/libs/"),  # the name of the top folder does not matter
        ("Übung 3 (final)/作业\u3000一/", "code/libs/"),
        ("tab\there/\x1b[31m/", "code/libs/"),
    ],
)
def test_code_is_found_wherever_it_lies(tmp_path, prefix, code):
    """The code is found below any folders and in every layout that was ever handed out."""
    files = {prefix + code + name: content for name, content in LIBS.items()}
    files |= {prefix + n: c for n, c in COMPLETE.items() if not n.startswith("code/")}
    submission = read_zip(tmp_path, files)
    assert {name: copied(submission)[f"libs/{name}"] for name in LIBS} == LIBS
    assert "writeup/report.pdf" not in copied(submission)
    assert [m["netid"] for m in submission.members] == ["asa1", "bo2"]
    assert submission.findings == submission.needs_look == []
    assert len(submission.notes) == 1


@pytest.mark.parametrize(
    ("names", "remark"),
    [
        (lambda name: "/home/team/" + name, "lead out"),
        (lambda name: "C:/Users/team/" + name, "lead out"),
        (lambda name: "C:\\Users\\team\\" + name.replace("/", "\\"), "lead out"),
        (lambda name: "\\\\server\\share\\" + name.replace("/", "\\"), "lead out"),
        (lambda name: "../../" + name, "lead out"),
        (lambda name: "team\\" + name.replace("/", "\\"), "Backslashes"),
        (lambda name: "./team//./" + name, "is not in code/"),
    ],
)
def test_names_of_other_systems(tmp_path, names, remark):
    """They are cut to what follows; `read` sees that nothing is written outside."""
    submission = read_zip(tmp_path, {names(name): content for name, content in COMPLETE.items()})
    assert {name: copied(submission)[f"libs/{name}"] for name in LIBS} == LIBS
    assert len(submission.members) == 2
    assert remark in " ".join(submission.notes + submission.findings)
    assert bool(submission.findings) == (remark == "lead out")


def test_shallowest_code_is_graded_and_others_are_named(tmp_path):
    """Of several copies of the code the shallowest is graded, and the others are reported."""
    files = {f"backup/{name}": b"old = 1\n" for name in CODE}
    files |= {f"attic/libs/{name}": b"old = 2\n" for name in LIBS}
    submission = read_zip(tmp_path, {**files, **COMPLETE})
    assert copied(submission)["libs/ddpm.py"] == DDPM
    (look,) = submission.needs_look
    assert "attic" in look
    assert "backup/code" in look


def test_code_with_both_modules_comes_before_half_of_it(tmp_path):
    """A folder with ddpm.py and unet.py is preferred to one with only one of them."""
    files = {f"work/libs/{name}": content for name, content in LIBS.items()}
    submission = read_zip(tmp_path, {"copy/libs/ddpm.py": b"old = 1\n", **files})
    assert copied(submission)["libs/ddpm.py"] == DDPM
    assert "copy" in " ".join(submission.needs_look)


def test_names_in_another_case_count_where_no_exact_one_is(tmp_path):
    """DDPM.PY is graded as ddpm.py if there is no exact name."""
    files = {"Code/Libs/DDPM.py": DDPM, "Code/Libs/UNet.PY": UNET, "Code/Libs/my.py": b"1"}
    submission = read_zip(tmp_path, files)
    assert copied(submission).items() >= {"libs/ddpm.py": DDPM, "libs/unet.py": UNET}.items()
    assert copied(submission)["libs/my.py"] == b"1"
    assert any("lower case" in note for note in submission.notes)
    shutil.rmtree(tmp_path / "in")
    other = {**COMPLETE, "code/libs/DDPM.py": b"1", "Libs/DDPM.py": b"2"}
    assert copied(read_zip(tmp_path, other))["libs/ddpm.py"] == DDPM


def test_earlier_layout_is_graded(tmp_path):
    """Configs inside code/, no team file, no results: reported, never refused."""
    files = {**CODE, "code/configs/mnist.yaml": b"a: 1\n", "configs/mnist.yaml": b"b: 1\n"}
    submission = read_zip(tmp_path, files)
    assert copied(submission)["configs/mnist.yaml"] == b"a: 1\n"
    assert submission.members == []
    assert submission.findings == ["There is no team.csv", "There is no report as PDF"]
    assert submission.notes == ["There is no folder results"]


@pytest.mark.parametrize("one", ["ddpm.py", "unet.py"])
def test_one_module_is_enough(tmp_path, one):
    """A lone ddpm.py or unet.py is graded."""
    submission = read_zip(tmp_path, {f"code/libs/{one}": LIBS[one]})
    graded = {"libs/ddpm.py", "libs/unet.py"} & copied(submission).keys()
    assert graded == {f"libs/{one}"}


# --- refused, with the reason


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


# --- bombs


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


# --- names, links, special files


@pytest.mark.parametrize(
    ("name", "remark"),
    [
        ("code/../../../evil.py", "'..' in the middle"),
        ("code/libs/../../../evil.py", "'..' in the middle"),
        ("code\\..\\..\\evil.py", "'..' in the middle"),
        ("code/" + "n" * 300 + ".py", "too long"),
        ("code/" + "ä" * 140 + ".py", "too long"),
        ("code/new\nline.py", "cannot be used here"),
        ("code/\x1b]0;title\x07.py", "cannot be used here"),
        ("code/\u202egpj.py", "cannot be used here"),
    ],
)
def test_bad_names_are_left_out(tmp_path, name, remark):
    """Absolute names, `..` and names that systems reserve are never written."""
    submission = read_zip(tmp_path, {name: b"evil = 1\n", **COMPLETE})
    assert b"evil = 1\n" not in copied(submission).values()
    assert copied(submission)["libs/ddpm.py"] == DDPM
    assert remark in " ".join(submission.notes + submission.needs_look)


def test_name_with_nul(tmp_path):
    """zipfile would cut the name at the NUL and let it take a module's place."""
    data = write_zip(tmp_path / "a.zip", {**COMPLETE, "code/libs/unet.py#": b"evil"}).read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.zip").write_bytes(data.replace(b"unet.py#", b"unet.py\0"))
    submission = read(tmp_path / "in" / "a.zip")
    assert copied(submission)["libs/unet.py"] == UNET
    assert any("NUL" in look for look in submission.needs_look)


@any_name
def test_utf8_names_without_the_mark(tmp_path):
    """As macOS writes them: read as UTF-8. What is no UTF-8 is read as cp437, as zip says."""
    names = {"code/grüße.txt": "grüße.txt".encode(), "code/za\u00f1.txt": b"za\xa4.txt"}
    files = {**COMPLETE, **{f"code/placeholder{i}.txt": b"1" for i in range(2)}}
    data = write_zip(tmp_path / "a.zip", files).read_bytes()
    for i, raw in enumerate(names.values()):
        old = f"placeholder{i}.txt".encode()
        data = data.replace(old, raw.rjust(len(old), b"_"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.zip").write_bytes(data)
    assert {n.lstrip("_") for n in copied(read(tmp_path / "in" / "a.zip"))} >= {
        n[5:] for n in names
    }


def test_a_name_that_the_locale_cannot_write_is_a_file_left_out(tmp_path):
    """Where Python writes names in plain ASCII, one with other letters ends no grading."""
    code = "import sys; from pathlib import Path; from autograder.reading import program\n"
    code += "print(program.write_file(Path(sys.argv[1]), ('zo\\u00eb.txt',), b'1'))"
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = run_script("-c", code, tmp_path, PYTHONPATH=str(ROOT), **ascii_only)
    assert process.stdout.split() == ["False"], process.stderr
    assert not list(tmp_path.iterdir())


def test_links_and_special_entries_in_a_zip(tmp_path):
    """Links and pipes in a zip are left out and reported."""
    path = tmp_path / "in" / "a.zip"
    path.parent.mkdir()
    kinds = {"link.txt": stat.S_IFLNK, "libs/more.py": stat.S_IFLNK, "pipe": stat.S_IFIFO}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in COMPLETE.items():
            archive.writestr(name, content)
        for name, kind in kinds.items():
            info = zipfile.ZipInfo(f"code/{name}")
            info.create_system, info.external_attr = 3, (kind | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    submission = read(path)
    assert not kinds.keys() & copied(submission).keys()
    assert any("Links" in note and "code/link.txt" in note for note in submission.notes)
    assert any("code/libs/more.py" in look for look in submission.needs_look)
    assert any("Pipes" in look for look in submission.needs_look)


def test_links_and_special_files_in_a_folder(tmp_path):
    """None is followed or opened: a pipe would make us wait for ever."""
    secret = write_folder(tmp_path / "secret", {"other.py": b"secret = 1\n"})
    root = write_folder(tmp_path / "in" / "team-07", COMPLETE)
    (root / "code" / "to_file.py").symlink_to(secret / "other.py")
    (root / "code" / "to_folder").symlink_to(secret)
    (root / "code" / "circle").symlink_to(root)
    (root / "code" / "nowhere").symlink_to("nothing")
    (root / "results" / "a.png").symlink_to("/etc/passwd")
    os.mkfifo(root / "code" / "pipe.py")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(root)  # the path of a socket has at most 107 bytes
        server.bind("code/socket.py")
        os.chdir(here)
        submission = read(root)
    assert copied(submission) == copied(read_zip(tmp_path / "in", COMPLETE))
    assert submission.samples == []
    assert any("to_file.py" in look for look in submission.needs_look)
    assert any("pipe.py" in look and "socket.py" in look for look in submission.needs_look)
    assert any("Links" in note and "and 2 more" in note for note in submission.notes)


def test_file_that_becomes_a_link_is_not_followed(tmp_path):
    """A file that is replaced by a link after it was listed is not read."""
    root = write_folder(tmp_path / "a", {"x.py": b"1"})
    secret = write_folder(tmp_path, {"secret.py": b"2"}) / "secret.py"
    (entry,) = archives.folder_entries(root, archives.Remarks())
    (root / "x.py").unlink()
    (root / "x.py").symlink_to(secret)
    with pytest.raises(archives.Unreadable):
        entry.read(1000)
    (root / "x.py").unlink()
    os.mkfifo(root / "x.py")
    with pytest.raises(archives.Unreadable):
        entry.read(1000)


def test_names_that_are_no_utf8_in_a_folder(tmp_path):
    """A file name that is no UTF-8 is left out, and the rest is graded."""
    root = write_folder(tmp_path / "in" / "team-07", COMPLETE)
    (root / os.fsdecode(b"code/caf\xe9.py")).write_bytes(b"1")
    submission = read(root)
    assert copied(submission)["libs/ddpm.py"] == DDPM
    assert any("cannot be used here" in look for look in submission.needs_look)
    assert len(submission.sha256) == 64


def test_unreadable_file(tmp_path, monkeypatch):
    """As root nothing is unreadable, so the system's answer is put in its place."""

    def denied(path):
        raise PermissionError(13, "Permission denied", path)

    root = write_folder(tmp_path / "team-07", COMPLETE)
    monkeypatch.setattr(archives, "open_regular", denied)
    refused(root, "cannot be read (Permission denied)")


def test_duplicate_names(tmp_path):
    """Of two entries with one name the last counts; different contents need a human look."""
    path = tmp_path / "in" / "a.zip"
    path.parent.mkdir()
    write_zip(path, COMPLETE)
    with zipfile.ZipFile(path, "a") as archive:
        for name, content in {"ddpm.py": DDPM, "unet.py": b"second = 1\n"}.items():
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr(f"code/libs/{name}", content)
    submission = read(path)
    assert copied(submission)["libs/unet.py"] == b"second = 1\n"
    assert any("same content: code/libs/ddpm.py" in note for note in submission.notes)
    assert any("twice" in look and "unet.py" in look for look in submission.needs_look)


def test_names_that_differ_in_case(tmp_path):
    """Names that collide on macOS and Windows are reported, and the exact one is graded."""
    submission = read_zip(tmp_path, {**COMPLETE, "code/libs/DDPM.py": b"1", "code/Train.py": b"2"})
    assert copied(submission)["libs/ddpm.py"] == DDPM
    assert copied(submission)["libs/DDPM.py"] == b"1"
    (look,) = submission.needs_look
    assert "macOS and Windows" in look
    assert "code/Train.py" in look


def test_file_and_folder_of_the_same_name(tmp_path):
    """A name that is both a file and a folder is reported, and the code is still graded."""
    submission = read_zip(
        tmp_path, {"code/libs": b"no folder", "code/a/b.py": b"", **COMPLETE, "code/a": b""}
    )
    assert {name: copied(submission)[f"libs/{name}"] for name in LIBS} == LIBS
    assert copied(submission)["a/b.py"] == b""
    assert any("both a file and a folder" in look for look in submission.needs_look)


# --- what does not belong there


def test_litter_is_left_out(tmp_path):
    """Caches, editors' files and environments are left out with one note, and no finding."""
    litter = {
        "__MACOSX/code/libs/._ddpm.py": b"1",
        "code/.DS_Store": b"1",
        "code/libs/__pycache__/ddpm.cpython-311.pyc": b"1",
        "code/libs/ddpm.pyc": b"1",
        "code/.git/config": b"1",
        "code/env/pyvenv.cfg": b"1",
        "code/env/lib/x.py": b"1",
        "code/.ipynb_checkpoints/libs/ddpm.py": b"1",
    }
    (tmp_path / "a").mkdir()
    clean = copied(read_zip(tmp_path / "a", COMPLETE))
    submission = read_zip(tmp_path, {**litter, **COMPLETE, "code/kv_cache/x.py": b"1"})
    assert copied(submission) == {**clean, "kv_cache/x.py": b"1"}
    assert submission.findings == submission.needs_look == []
    (note,) = submission.notes
    assert "litter" in note
    folder = write_folder(tmp_path / "b" / "team-07", {**litter, **COMPLETE})
    assert copied(read(folder)) == clean


def test_checkpoints_and_data_are_left_out(tmp_path):
    """Weights, data and logs are left out of what the worker gets."""
    left = {
        "code/model.pth": b"1",
        "code/libs/w.safetensors": b"1",
        "results/last.CKPT": b"1",
        "code/data/mnist/train.bin": b"1",
        "logs/run/events.out.tfevents.1": b"1",
        "code/features.npy": b"1",
    }
    kept = {"code/libs/data/__init__.py": b"1", "code/libs/data/table.txt": b"2"}
    submission = read_zip(tmp_path, {**COMPLETE, **left, **kept, "model/final.pth": b"1"})
    assert copied(submission)["libs/data/table.txt"] == b"2"
    assert not [name for name in copied(submission) if f"code/{name}" in left]
    checkpoints, data = sorted(submission.findings)
    assert checkpoints.startswith("Checkpoints")
    assert "code/model.pth (0.0 kB)" in checkpoints
    assert data.startswith("Data")
    assert "code/data/mnist/train.bin" in data
    assert "model/final.pth" not in checkpoints  # what --with-model adds is allowed
    assert any("model/final.pth" in note for note in submission.notes)


def test_python_files_stay_byte_for_byte(tmp_path):
    """Python files reach the worker unchanged, in any encoding and with any line ends."""
    odd = {
        "code/bom.py": b"\xef\xbb\xbfx = 1\n",
        "code/crlf.py": b"if 1:\r\n\tx = 1\r\n",
        "code/latin.py": b"x = 'caf\xe9'\n",
        "code/declared.py": b"# -*- coding: latin-1 -*-\n# caf\xe9\n",
        "code/utf16.py": "x = 1\n".encode("utf-16"),
        "code/nul.py": b"x = 1\0\n",
        "code/conftest.py": b"raise SystemExit\n",
        "code/sitecustomize.py": b"raise SystemExit\n",
        "code/torch.py": b"raise SystemExit\n",
    }
    submission = read_zip(tmp_path, {**COMPLETE, **odd})
    assert (
        copied(submission).items() >= {name[5:]: content for name, content in odd.items()}.items()
    )
    (note,) = submission.notes
    for name in odd:
        compiles = True
        try:
            compile(odd[name], name, "exec")  # Python's own judgement
        except (SyntaxError, ValueError):
            compiles = False
        assert (name in note) == (not compiles)


# --- helpers of the kit


def test_only_the_kits_own_text_is_compiled(tmp_path):
    """Modules that are the kit's get its bytecode, even where a team sent some; others get none."""
    own = (KIT / "libs" / "unet.py").read_bytes()
    forged = {"code/libs/__pycache__/unet.cpython-311.pyc": b"forged"}
    sent = {**CODE, **forged, "code/libs/unet.py": own, "code/libs/ddpm.py": own}
    folder = read_zip(tmp_path, sent).code_folder / "libs" / "__pycache__"
    name = Path(importlib.util.cache_from_source("unet.py")).name
    assert not (folder / name.replace("unet", "ddpm")).exists()
    code = marshal.loads((folder / name).read_bytes()[16:])
    assert code == compile(own, "unet.py", "exec")


def test_missing_helpers_come_from_the_kit(tmp_path):
    """Helpers that a team left out come from the kit, graded files never."""
    own = {"code/libs/ddpm.py": DDPM, "code/libs/blocks.py": b"mine = 1\n"}
    submission = read_zip(tmp_path, own)
    files = copied(submission)
    assert files["libs/blocks.py"] == b"mine = 1\n"
    graded = ("libs/unet.py", "libs/ddim.py", "libs/metrics/")
    assert not [name for name in files if name.startswith(graded)]
    names = "__init__ utils schedules tiny_autoencoder latent_space weights"
    for name in names.split():
        assert files[f"libs/{name}.py"] == (KIT / "libs" / f"{name}.py").read_bytes()
    assert any("weights.py" in note and "from the kit" in note for note in submission.notes)


def test_helpers_beside_an_earlier_edition_can_be_imported(tmp_path):
    """The team's utils.py lacks what the kit's other helpers need: both are there, side by side."""
    kit = {
        "libs/__init__.py": b"",
        "libs/utils.py": b"def default(a, b): return 'kit'\nclass UserError(Exception): pass\n",
        "libs/blocks.py": b"from .utils import default\n",
        "libs/schedules.py": b"def show():\n    from .unet import solution\n",
        "libs/tiny_autoencoder.py": b"from .utils import UserError\nfrom .weights import load\n",
        "libs/latent_space.py": b"from .tiny_autoencoder import load\n",
        "libs/weights.py": b"from .utils import (\n    UserError,\n)\nload = UserError\n",
        "libs/unet.py": b"solution = 1\n",
    }
    own = {
        "code/libs/utils.py": b"def default(a, b): return 'own'\n",
        "code/libs/ddpm.py": b"from . import blocks, tiny_autoencoder, utils\n",
    }
    write_folder(tmp_path / "kit", kit)
    archive = write_zip(tmp_path / "a.zip", own)
    submission = open_submission(archive, tmp_path / "work", tmp_path / "kit")
    program_text = (
        "from libs import ddpm\n"
        "print(ddpm.utils.default(1, 2), ddpm.blocks.default(1, 2))\n"
        "print(issubclass(ddpm.tiny_autoencoder.load, Exception))\n"
    )
    command = [sys.executable, "-c", program_text]
    done = subprocess.run(
        command,
        cwd=submission.code_folder,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["own", "own", "True"], done.stderr
    assert "libs/unet.py" not in copied(submission)


# --- the team file, the report, results


def members(tmp_path: Path, content: bytes) -> tuple[list[tuple[str, str]], str]:
    """Names and NetIDs that a team.csv gives, and what was found."""
    submission = read_zip(tmp_path, {**COMPLETE, "team.csv": content})
    found = [(m["member"], m["netid"]) for m in submission.members]
    return found, " ".join(submission.findings)


@pytest.mark.parametrize(
    "content",
    [
        b"member,NetID,contribution\nAda,ada1,all\n",
        b"\xef\xbb\xbfmember,NetID,contribution\r\nAda,ada1,all\r\n\r\n,,\r\n",
        b"member;NetID;contribution\rAda;ada1;all\r",
        b"Contribution\tNet ID\tMEMBER \nall\tada1\t Ada\n",
        b'\n\nName , net-id,Contributions\n"Ada","ada1","all, with ""joy"""\n',
        b"member,NetID,contribution,year\nAda,ada1,all,2,x,y\n",
    ],
)
def test_team_files_that_say_the_same(tmp_path, content):
    """team.csv is read with any separator, encoding, case and order of columns."""
    assert members(tmp_path, content) == ([("Ada", "ada1")], "")


@pytest.mark.parametrize(
    ("content", "expected", "words"),
    [
        ((ROOT / "instructor/starter/team.csv").read_bytes(), [], "template's example"),
        (b"member,NetID,contribution\nAda,netid,all\n", [("Ada", "")], "template's example"),
        (
            b"member,NetID,contribution\nAda,ada1,what this member did\n",
            [("Ada", "ada1")],
            "example",
        ),
        (b"member,NetID,contribution\nAda,,all\n", [("Ada", "")], "leaves NetID empty: Ada"),
        (b"member,NetID,contribution\nAda,ada1\n", [("Ada", "ada1")], "contribution empty: Ada"),
        (b"member,NetID,contribution\nA B,a b,x\n", [("A B", "a b")], "several NetIDs in one line"),
        (
            b"member,NetID,contribution\nAda,ada1,x\nBo,ADA1,y\n",
            [("Ada", "ada1"), ("Bo", "ADA1")],
            "one NetID to several members: ada1",
        ),
        (b"member,NetID,contribution\n", [], "names nobody"),
        (b" \n\n", [], "empty"),
        (b"", [], "empty"),
        (b"member,NetID,contribution\nZo\xeb,zoe1,all\n", [], "not UTF-8"),
        (b"member,contribution\nAda,all\n", [("Ada", "")], "no column NetID"),
        (b"Ada,ada1,all\n", [], "no column member"),
        (b"\x89PNG\r\n\x1a\n\0\0", [], "not UTF-8"),
        (b"m" * 200_000, [], "more than"),
        (b'member,NetID\n"' + b"x" * 90_000, [("x" * 300, "")], "no column contribution"),
    ],
)
def test_team_files_with_mistakes(tmp_path, content, expected, words):
    """Each mistake in team.csv is a finding, and the members are still read."""
    found, findings = members(tmp_path, content)
    assert found == expected
    assert words in findings


def test_what_a_team_file_says_stays_text(tmp_path):
    """Markup and escapes in team.csv stay text."""
    row = '<b>Ada</b>,\x1b[31mada1\x1b[0m,"a\nb\u202e"\n'.encode()
    submission = read_zip(tmp_path, {**COMPLETE, "team.csv": b"member,NetID,contribution\n" + row})
    (member,) = submission.members
    assert member["member"] == "<b>Ada</b>"
    assert all(value.isprintable() for value in member.values())
    assert "ada1" in member["netid"]


def test_team_file_in_another_place_and_a_crowd(tmp_path):
    """team.csv is found elsewhere, and a crowd of members is cut and reported."""
    rows = "".join(f"Example {i},ex{i},x\n" for i in range(50))
    files = {n: c for n, c in COMPLETE.items() if n != "team.csv"}
    files["code/Team.csv"] = ("member,NetID,contribution\n" + rows).encode()
    submission = read_zip(tmp_path, files)
    assert len(submission.members) == 20
    assert any("50 members" in look for look in submission.needs_look)
    assert any("code/Team.csv" in note for note in submission.notes)


def test_reports(tmp_path):
    """A PDF counts by its first bytes, best in writeup/."""
    rest = {n: c for n, c in COMPLETE.items() if not n.startswith("writeup/")}

    def remarks(name: str, report: Files) -> tuple[list[str], list[str]]:
        (tmp_path / name).mkdir()
        submission = read_zip(tmp_path / name, {**rest, **report})
        return submission.notes, submission.findings

    assert remarks("a", {"writeup/my report.PDF": b"\n%PDF-1.4"}) == ([], [])
    assert remarks("b", {"writeup/report.md": b"# Report"}) == ([], ["There is no report as PDF"])
    notes, findings = remarks("c", {"writeup/report.pdf": b"<html>"})
    assert (notes, len(findings)) == ([], 1)
    assert "writeup/report.pdf" in findings[0]
    template = b"%PDF-1.5 stream\n(Your answer here) Tj endstream" * 9
    (tmp_path / "e").mkdir()
    submission = read_zip(tmp_path / "e", {**rest, "writeup/r.pdf": template})
    assert submission.needs_look[0].startswith("The report is the template: no question is")
    assert submission.findings == []
    (tmp_path / "f").mkdir()
    one_left = b"%PDF-1.5 stream\n(Your answer here) Tj endstream"
    submission = read_zip(tmp_path / "f", {**rest, "writeup/r.pdf": one_left})
    assert submission.needs_look[0].startswith("The report still says 'Your answer here' in 1 of 9")
    notes, findings = remarks("d", {"report.pdf": b"%PDF-1.4"})
    assert (findings, len(notes)) == ([], 1)
    assert "report.pdf" in notes[0]


def test_samples(tmp_path):
    """The first four real pictures, those called samples before the others; nothing is decoded."""
    wide = PNG[:16] + struct.pack(">II", 60_000, 60_000) + PNG[24:]
    bad = {"big.png": PNG + bytes(1_000_001), "bomb.png": wide, "art.png": b"<svg onload=x>"}
    bad |= {"cut.png": PNG[:20], "cut.jpg": JPEG[:10], "empty.png": b""}
    good = {"e.png": PNG, "f.JPG": JPEG, "a/g.jpeg": JPEG, "samples_z.png": PNG, "h.png": PNG}
    files = {f"results/{name}": content for name, content in {**bad, **good}.items()}
    submission = read_zip(tmp_path, {**COMPLETE, **files, "results/loss.svg": b"<svg/>"})
    names = [sample["name"] for sample in submission.samples]
    assert names == ["results/samples_z.png", "results/a/g.jpeg", "results/e.png", "results/f.JPG"]
    for sample in submission.samples:
        assert base64.b64decode(sample["png"], validate=True) == files[sample["name"]]
    assert any("not shown" in note and "and 3 more" in note for note in submission.notes)


def test_own_paths_and_known_problems_are_found(tmp_path):
    """Absolute paths in code and configs, and problems noted while packing, are findings."""
    files = {
        "code/a.py": b"x = 1\nopen('/home/ada/x')\n",
        "configs/b.yaml": b"data_folder: C:\\Users\\ada\\data\n",
        "code/fine.py": b"# '/home/ada/x'\nopen('data/x')\nurl = 'https://home/x'\n",
        "PROBLEMS.txt": b"  - there is no PDF in writeup/\n  - \x1b[2Jteam.csv is missing\n",
    }
    submission = read_zip(tmp_path, {**COMPLETE, **files})
    problems, paths = sorted(submission.findings, reverse=True)
    assert "2 problems" in problems
    assert "no PDF in writeup/" in problems
    assert "code/a.py, line 2" in paths
    assert "configs/b.yaml, line 1" in paths
    assert "fine.py" not in paths


@pytest.mark.parametrize(
    ("name", "team"),
    [
        ("team-07.zip", "team-07"),
        ("team.v2.ZIP", "team.v2"),
        ("team07_12345_67890_submission.zip", "team07"),
        ("team_07_12345_67890_final_1234_5678_x.zip", "team_07"),
        ("team07_LATE_12345_67890_submission-1.zip", "team07"),
        ("Team 7_12345_assignsubmission_file_/submission.zip", "Team 7"),
        ("team-08/submission (1).zip", "team-08"),
    ],
)
def test_names_of_teams(tmp_path, name, team):
    """The team's name is taken out of the file names of Canvas and Moodle."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    submission = read(write_zip(path, COMPLETE))
    assert submission.team == team
    assert submission.name == path.name
    assert any("late" in look for look in submission.needs_look) == ("_LATE_" in name)


def test_failing_disk_is_not_the_teams_fault(tmp_path):
    """An error of our own disk is said to be ours."""
    (tmp_path / "work").write_bytes(b"a file")
    path = write_zip(tmp_path / "a.zip", COMPLETE)
    refused(path, "could not be prepared here")


# --- finding the submissions


def find(*paths: Path) -> list[str]:
    """The names found, relative to the folder of the first path."""
    return [str(path.relative_to(paths[0].parent)) for path in find_submissions(list(paths))]


def test_folder_of_a_class(tmp_path):
    """Zips, folders, one level of folders between; nothing that somebody handed in vanishes."""
    root = tmp_path / "class"
    zips = ["b.zip", "a_123_456_submission.zip", "c.ZIP", "d.rar", "e.tar.gz", ".hidden.zip"]
    nested = [
        "m 1_2_assignsubmission_file_/submission.zip",
        "__MACOSX/x.zip",
        "s1/x.zip",
        "s1/y.zip",
    ]
    write_folder(root, {name: b"" for name in [*zips, *nested, "grades.csv", "README.txt"]})
    for name in ("team-01", "team-02/homework", "s2/team-03", "s2/team-04"):
        write_folder(root / name, CODE)
    write_folder(root / "team-05", {"report.pdf": b""})
    (root / "team-06").mkdir()
    expected = ["a_123_456_submission.zip", "b.zip", "c.ZIP", "d.rar", "e.tar.gz", nested[0]]
    expected += ["s1/x.zip", "s1/y.zip", "s2/team-03", "s2/team-04"]
    expected += ["team-01", "team-02", "team-05", "team-06"]
    assert find(root) == [f"class/{name}" for name in expected]


def test_single_paths_in_their_order_each_once(tmp_path):
    """Paths that are named one by one keep their order, without repeats."""
    zips = [write_zip(tmp_path / name, CODE) for name in ("z.zip", "a.zip")]
    folder = write_folder(tmp_path / "team-01", CODE)
    odd = write_folder(tmp_path, {"upload.bin": b""}) / "upload.bin"
    assert find(zips[0], folder, zips[1], odd, zips[0]) == [
        "z.zip",
        "team-01",
        "a.zip",
        "upload.bin",
    ]


def test_nothing_to_find(tmp_path):
    """Paths that hold no submission are refused with a printable reason."""
    write_folder(tmp_path / "notes", {"a/b.txt": b"", "c.txt": b""})
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, word in {
        "notes": "holds no submission",
        "empty": "holds no submission",
        "absent.zip": "does not exist",
        "pipe": "neither a file nor a folder",
        "a\0b": "not",
    }.items():
        with pytest.raises(Refused, match=word) as error:
            find_submissions([tmp_path / name])
        assert str(error.value).isprintable()


# --- names


def test_names_tell_submissions_apart():
    """Moodle's files and submission.zip are named by their folder, others where they clash."""
    moodle = Path("/class/Team 7_12345_assignsubmission_file_/submission.zip")
    expected = {
        moodle: "Team 7_12345_assignsubmission_file_/submission.zip",
        Path("/class/team-08/submission (2).zip"): "team-08/submission (2).zip",
        Path("/class/team-09/hw2.zip"): "team-09/hw2.zip",
        Path("/class/team-10/hw2.zip"): "team-10/hw2.zip",
        Path("/a/x/y.zip"): "a/x/y.zip",
        Path("/b/x/y.zip"): "b/x/y.zip",
        Path("/class/team-11.zip"): "team-11.zip",
        Path("/class/submission"): "submission",
    }
    assert names_of(list(expected)) == expected
    assert names_of([moodle]) == {moodle: expected[moodle]}
    alone = Path("/class/team-10/hw2.zip")
    assert names_of([alone], expected.values()) == {alone: expected[alone]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Team.zip", "team.zip"),
        ("a b.zip", "a  b.zip"),
        ("a.zip", "a.zip "),
        pytest.param("zo\u00eb.zip", "zoe\u0308.zip", marks=any_name),
        pytest.param("stra\u00dfe.zip", "STRASSE.zip", marks=any_name),
        ("=1.zip", "'=1.zip"),
        ("a\nb.zip", "a b.zip"),
        pytest.param("a\u200db.zip", "ab.zip", marks=any_name),
    ],
)
def test_names_that_look_alike_get_a_hash(one, other):
    """Names that a file system or a sheet may take for the same differ by more in all outputs."""
    paths = [Path("/class") / one, Path("/class") / other]
    names = names_of(paths)
    assert alike(names[paths[0]]) != alike(names[paths[1]])
    assert all(name.startswith(f"class/{path.name} [") for path, name in names.items())
    assert names_of([paths[1]], [names[path] for path in paths]) != {}
    later = names_of([paths[1]], [one])  # the other one was graded before
    assert alike(later[paths[1]]) != alike(one)


# --- everything else


def test_damage_of_any_kind_is_read_or_refused(tmp_path):
    """Flipped, lost and repeated bytes, at the same places in every run: no other exception."""
    files = {**COMPLETE, "results/a.png": PNG, "zoë/x.txt": b"1"}
    whole = write_zip(tmp_path / "a.zip", files).read_bytes()
    random_place = random.Random(7)
    trials, reasons = 250, []
    for trial in range(trials):
        data = bytearray(whole)
        headers = [i for i in range(len(data)) if data[i : i + 2] == b"PK"]
        for _ in range(random_place.choice([1, 1, 3, 20])):
            near = random_place.choice(headers) + random_place.randrange(46)
            place = near if trial % 2 else random_place.randrange(len(data))
            data[place % len(data)] = random_place.randrange(256)
        if trial % 5 == 0:
            cut = random_place.randrange(len(data))
            del data[cut : cut + random_place.randrange(200)]
        (tmp_path / "b.zip").write_bytes(data)
        work = tmp_path / "work"
        try:
            open_submission(tmp_path / "b.zip", work, KIT)
        except Refused as error:
            reasons.append(str(error))
        shutil.rmtree(work, ignore_errors=True)
    assert all(reason.isprintable() for reason in reasons)
    assert 20 < len(reasons) < trials - 20

"""Hand-ins as zips and folders, and what is read from them."""

import struct
import zipfile
from pathlib import Path

import pytest
from autograder.reading.submission import (
    Refused,
    Submission,
    open_submission,
)

from helpers.files import ROOT

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

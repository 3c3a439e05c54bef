"""Submissions as a team packs them with its copy of zip_submission.py."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from helpers.files import ROOT
from helpers.scripts import assert_refused, call_program

SCRIPT = ROOT / "zip_submission.py"
TEAM = "member,NetID,contribution\nÅsa Öberg,asa1,UNet\nBo Li,bo2,sampler and report\n"
GRADER = "import sys\nprint('q_sample 1/1', *sys.argv[1:], flush=True)\n"


def write(root: Path, files: dict[str, str | bytes]) -> None:
    """Write files, given by their names below a folder, and make the folders they need."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def submission(root: Path) -> Path:
    """A small complete submission with a copy of the script; returns its folder."""
    write(
        root,
        {
            "code/libs/ddpm.py": "x = 1\n",
            "code/train.py": "print('trains')\n",
            "configs/digits.yaml": "dataset:\n  name: Digits\n",
            "writeup/report.pdf": b"%PDF-1.7 a report\n%%EOF\n",
            "results/loss.csv": "1,2\n",
            "team.csv": TEAM,
        },
    )
    shutil.copy(SCRIPT, root)
    return root


def pack(root: Path, *args: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """What running the folder's copy of the script gives, but within this process."""
    return call_program(root / "zip_submission.py", *args, cwd=cwd or root)


def pack_alone(root: Path, *args: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Run the folder's copy of the script, without site-packages, as any Python would."""
    command = [sys.executable, "-I", "-S", root / "zip_submission.py", *args]
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd or root,
        capture_output=True,
        encoding="utf-8",
        timeout=900,
        check=False,
    )


def packed(root: Path, *args: object) -> dict[str, bytes]:
    """Run the script, which must succeed; returns the names and contents of submission.zip."""
    process = pack(root, *args)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    with zipfile.ZipFile(root / "submission.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def refused(root: Path, *words: str, args: tuple = ()) -> str:
    """Run the script, which must refuse with these words and write nothing; returns the list."""
    process = pack(root, *args)
    assert_refused(process, *words)
    assert not list(root.rglob("*.zip"))
    assert not list(root.rglob("*.partial"))
    return process.stderr


def warnings(root: Path) -> list[str]:
    """The warnings about a folder that is packed all the same, each one line."""
    process = pack(root, "--no-check")
    assert (process.returncode, process.stderr) == (0, ""), process.stdout + process.stderr
    lines = process.stdout.splitlines()
    found = [line[4:] for line in lines if line.startswith("  - ")]
    assert (f"Warnings ({len(found)}):" in lines) == bool(found)
    return found

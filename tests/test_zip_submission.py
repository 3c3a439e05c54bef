"""zip_submission.py as a team calls it: what it packs, leaves out, refuses and tests."""

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from unittest import mock

import pytest
import zip_submission

from helpers.files import any_name
from helpers.packing import (
    GRADER,
    SCRIPT,
    TEAM,
    pack,
    pack_alone,
    packed,
    refused,
    write,
)
from helpers.scripts import assert_refused

# What a good submission gives


def test_packs_the_four_folders_and_the_team(team):
    """The zip holds code, configs, writeup, results and team.csv, and nothing else."""
    write(team, {"README.md": "no", "tests/test_x.py": "no", "autograder/key.txt": "no"})
    names = ["code/libs/ddpm.py", "code/train.py", "configs/digits.yaml", "results/loss.csv"]
    content = packed(team)
    assert list(content) == [*names, "team.csv", "writeup/report.pdf"]
    assert content["team.csv"] == TEAM.encode()


def test_a_clean_hand_in_is_told_nothing(team):
    """Nothing is warned of, left out or noted where nothing is wrong."""
    process = pack(team, "--no-check")
    assert (process.returncode, process.stderr) == (0, "")
    assert [line.split()[0] for line in process.stdout.splitlines()] == [
        f"{team / 'submission.zip'}:".split()[0],
        "sha256",
    ]


def test_ends_with_path_size_number_and_hash(team):
    """The last lines tell the zip's path, size, number of files and sha256."""
    process = pack(team)
    path, digest = process.stdout.splitlines()[-2:]
    archive = team / "submission.zip"
    assert path.startswith(f"{archive}: ")
    assert path.endswith(f"{archive.stat().st_size / 1000:.1f} kB, 6 files")
    assert digest == f"sha256 {hashlib.sha256(archive.read_bytes()).hexdigest()}"


def test_works_on_the_folder_of_the_script(team, tmp_path):
    """Called from another folder it packs its own folder; paths in flags are of the caller."""
    (tmp_path / "else").mkdir()
    assert pack_alone(team, cwd=tmp_path / "else").returncode == 0
    assert (team / "submission.zip").is_file()
    assert pack_alone(team, "--out", "mine.zip", cwd=tmp_path / "else").returncode == 0
    assert (tmp_path / "else" / "mine.zip").read_bytes() == (team / "submission.zip").read_bytes()


def test_same_bytes_whatever_the_file_system_says(team, tmp_path):
    """Times, permissions and the order in which files were made do not change a byte."""
    other = tmp_path / "other"
    for path in sorted(filter(Path.is_file, team.rglob("*")), reverse=True):
        write(other, {path.relative_to(team).as_posix(): path.read_bytes()})
    for number, path in enumerate(p for p in other.rglob("*") if p.is_file()):
        path.chmod(0o755)
        os.utime(path, (1e9 + number, 1e9 + number))
    packed(team)
    first = (team / "submission.zip").read_bytes()
    packed(team)
    packed(other)
    assert (
        first == (team / "submission.zip").read_bytes() == (other / "submission.zip").read_bytes()
    )
    with zipfile.ZipFile(team / "submission.zip") as archive:
        infos = archive.infolist()
    assert {i.date_time for i in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert {i.external_attr >> 16 for i in infos} == {0o100644}
    assert {i.create_system for i in infos} == {3}


@any_name
def test_names_with_spaces_and_letters_of_all_languages(team):
    """File names with spaces and non-ASCII letters reach the zip, also on an ASCII console."""
    write(team, {"results/bästa bild 猫.png": "x", "code/größe.py": "ä = 1\n", "code/é.pth": ""})
    assert {"results/bästa bild 猫.png", "code/größe.py"} <= set(packed(team))
    process = subprocess.run(
        [sys.executable, team / "zip_submission.py"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr


def test_an_empty_results_folder_stays(team):
    """An empty folder of the four is in the zip, so that nobody takes it for forgotten."""
    (team / "results" / "loss.csv").unlink()
    assert "results/" in packed(team)
    assert "results/ is empty" in pack(team).stdout


def test_earlier_output_is_replaced_and_never_packed(team):
    """An earlier zip is replaced, and is not in itself even where it lies in results/."""
    out = team / "results" / "mine.zip"
    assert pack(team, "--out", out).returncode == 0
    first = out.read_bytes()
    assert pack(team, "--out", out).returncode == 0
    assert out.read_bytes() == first
    assert "results/mine.zip" not in zipfile.ZipFile(out).namelist()


def test_earlier_output_survives_a_failure(team):
    """Where writing fails, the earlier zip keeps its bytes and no partial file is left."""
    packed(team)
    before = (team / "submission.zip").read_bytes()
    write(team, {"results/new.csv": "1"})
    full = OSError(28, "No space left on device", "disk")
    with mock.patch.object(zip_submission.os, "replace", side_effect=full):
        process = pack(team)
    assert_refused(process, "No space left on device (disk)", "--out FILE", "is an older one")
    assert len(process.stderr.splitlines()) == 1
    assert (team / "submission.zip").read_bytes() == before
    assert not list(team.rglob("*.partial"))


# What is left out


LEFT_OUT = {
    "data, logs": [
        "code/data/MNIST/raw.gz",
        "results/logs/run/log.txt",
        "code/pretrained/w.bin",
        "code/wandb/run-1/files/config.yaml",
        "results/checkpoints/x.txt",
    ],
    "arrays": ["results/samples.npz", "results/x.npy"],
    "checkpoints": ["results/a.pth", "code/b.pt", "results/c.ckpt", "results/d.SafeTensors"],
    "caches, env": [
        "code/__pycache__/train.cpython-311.pyc",
        "code/.git/HEAD",
        "code/.ipynb_checkpoints/train-checkpoint.py",
        "code/.venv/bin/python",
        "code/my_env/pyvenv.cfg",
        "code/.ruff_cache/x",
    ],
    "litter": [
        "code/.DS_Store",
        "writeup/Thumbs.db",
        "code/__MACOSX/._train.py",
        "results/desktop.ini",
        "writeup/._report.pdf",
    ],
    "TensorBoard": ["results/run/events.out.tfevents.1700000000.host.1.0"],
    "secrets": [
        "code/.env",
        "code/.env.production",
        "code/.netrc",
        "code/kaggle.json",
        "results/id_rsa",
        "configs/server.pem",
        "code/.git-credentials",
        "code/.aws/credentials",
    ],
    "earlier submissions": ["results/submission.zip", "writeup/submission (1).zip"],
}


def test_litter_is_left_out_with_one_line_a_reason(team):
    """Data, weights, caches and litter stay out; each reason has one line and names files."""
    before = packed(team)
    for names in LEFT_OUT.values():
        write(team, {name: "x" for name in names})
    process = pack(team)
    assert process.returncode == 0, process.stderr
    assert list(before) == zipfile.ZipFile(team / "submission.zip").namelist()
    lines = [s for s in process.stdout.splitlines() if s.startswith("Left out")]
    assert len(lines) == len(LEFT_OUT)
    for reason in LEFT_OUT:
        assert sum(line.startswith(f"Left out, {reason}") for line in lines) == 1
    assert "code/pretrained/" in process.stdout
    assert "and 3 more" in process.stdout
    assert "Warnings" not in process.stdout


def test_a_package_called_data_is_code(team):
    """code/libs/data/ with Python files, and configs/data/ with YAML files, are handed in."""
    names = {"code/libs/data/__init__.py", "code/libs/data/fetch.py", "configs/data/mnist.yaml"}
    write(team, dict.fromkeys(names, ""))
    assert names <= set(packed(team))


def test_links_inside_are_files_and_links_outside_are_never_followed(team, tmp_path):
    """A link inside the folder is packed as content; one that leaves, dangles or circles is not."""
    write(tmp_path, {"secret/key.txt": "secret"})
    write(team, {"logs/run/sample.png": "pixels"})
    links = {
        "results/best.png": "../logs/run/sample.png",
        "results/run": "../logs/run",
        "results/secret.txt": tmp_path / "secret" / "key.txt",
        "results/secret": tmp_path / "secret",
        "results/gone.png": "nowhere.png",
        "results/up": "..",
        "code/again": ".",
        "code/weights": "../logs",
    }
    for name, target in links.items():
        (team / name).symlink_to(target)
    write(team, {"results/link_to_link": ""})
    (team / "results/link_to_link").unlink()
    (team / "results/link_to_link").symlink_to("secret.txt")
    process = pack(team)
    assert process.returncode == 0, process.stderr
    with zipfile.ZipFile(team / "submission.zip") as archive:
        content = {n: archive.read(n) for n in archive.namelist()}
        assert all(info.external_attr >> 16 == 0o100644 for info in archive.infolist())
    assert content["results/best.png"] == content["results/run/sample.png"] == b"pixels"
    assert not [n for n in content if re.search("secret|gone|s/up|again|weights", n)]
    assert b"secret" not in b"".join(content.values())
    for words in ("leave this folder: results/link_to_link", "lead in circles", "lead nowhere"):
        assert words in process.stdout


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_hang(team):
    """A named pipe is left out instead of being read for ever."""
    os.mkfifo(team / "results" / "pipe")
    assert "results/pipe" not in packed(team)


# What is refused


@pytest.mark.parametrize("folder", ["code", "configs", "writeup", "results"])
def test_missing_folder(team, folder):
    """Each of the four folders is missed by name."""
    shutil.rmtree(team / folder)
    assert f"{folder}/" in refused(team, "missing")


def test_folder_that_is_a_link_out(team, tmp_path):
    """A whole folder that is a link to elsewhere is a problem, not silently empty."""
    shutil.move(team / "results", tmp_path / "results")
    (team / "results").symlink_to(tmp_path / "results")
    refused(team, "results/ is a link")


def test_report(team):
    """A report must lie in writeup/ itself, with any case of PDF, and be one."""
    shutil.move(team / "writeup" / "report.pdf", team / "writeup" / "Report.PDF")
    packed(team)
    (team / "submission.zip").unlink()
    assert "Warnings" not in pack(team, "--no-check").stdout
    (team / "submission.zip").unlink()
    write(team, {"writeup/Report.PDF": ""})
    refused(team, "writeup/Report.PDF is empty")
    (team / "writeup" / "Report.PDF").unlink()
    write(team, {"writeup/figures/loss.pdf": "%PDF-1.7"})
    refused(team, "no PDF in writeup/")


def test_code_without_python(team):
    """A code/ folder whose files are all left out is a problem."""
    (team / "code" / "train.py").unlink()
    shutil.move(team / "code" / "libs", team / "code" / "data" / "libs")
    refused(team, "code/ holds no Python file")


HEADER = "member,NetID,contribution\n"
BAD_TEAMS = {
    "missing": (None, ["team.csv is missing"]),
    "empty": ("", ["team.csv is empty"]),
    "only a BOM": (b"\xef\xbb\xbf", ["team.csv is empty"]),
    "header only": (HEADER, ["names nobody"]),
    "empty rows": (HEADER + ",,\n", ["names nobody"]),
    "template": (HEADER + "Example Name,netid,what they did\n", ["line 2", "example"]),
    "template left": (TEAM + "Example Name,netid,...\n", ["line 4", "example"]),
    "contribution left": (HEADER + "Ann,a,What this member did\n", ["line 2", "example"]),
    "same NetID": (TEAM + "Cy,ASA1 ,plots\n", ["line 4", "NetID ASA1", "line 2"]),
    "two NetIDs": (HEADER + "Ann and Bo,ann1 bo2,all\n", ["line 2", "'ann1 bo2'", "a line"]),
    "conflict": (HEADER + "<<<<<<< HEAD\nAnn,a,b\n=======\n>>>>>>> x\n", ["line 2", "conflict"]),
    "column": ("member,NetID\nAnn,ann1\n", ["the column contribution"]),
    "columns": ("Member,netid,contribution\nA,a,b\n", ["the columns member, NetID"]),
    "no header": ("Ann,ann1,UNet\n", ["the columns member, NetID, contribution"]),
    "semicolons": (TEAM.replace(",", ";"), ["commas"]),
    "value": (HEADER + "Ann,,UNet\n", ["line 2", "NetID"]),
    "short row": (HEADER + "Ann,ann1\n", ["line 2", "contribution"]),
    "blank value": (HEADER + "Ann,ann1,  \n", ["line 2", "contribution"]),
    "extra comma": (HEADER + "\nAnn,ann1,UNet, DDPM\n", ["line 3", "double quotes"]),
    "not UTF-8": (HEADER.encode() + "Åsa,asa,UNet\n".encode("latin-1"), ["UTF-8"]),
    "UTF-16": (TEAM.encode("utf-16"), ["UTF-8"]),
    "open quote": (HEADER + '"Ann,ann1,UNet\n', ["cannot be read"]),
}


@pytest.mark.parametrize("case", BAD_TEAMS)
def test_team_file_that_is_refused(team, case):
    """A team.csv that names nobody, or not fully, is refused with what and where."""
    content, words = BAD_TEAMS[case]
    (team / "team.csv").unlink()
    if content is not None:
        write(team, {"team.csv": content})
    refused(team, "team.csv", *words)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + TEAM.replace("\n", "\r\n").encode(),
        TEAM + "\n,,\n , ,,,\n",
        'contribution,member,NetID,mail\n"UNet, report",Ann,ann1,\n',
    ],
    ids=["Excel's BOM and CRLF", "empty rows", "order, quotes and more columns"],
)
def test_team_file_that_is_accepted(team, content):
    """What spreadsheets make of a good team.csv is good, and is packed as it stands."""
    write(team, {"team.csv": content})
    expected = content if isinstance(content, bytes) else content.encode()
    assert packed(team)["team.csv"] == expected


def test_the_template_counts_as_untouched(team):
    """The text that a release writes to team.csv is itself refused."""
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    values = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    template = ast.literal_eval(values["TEAM_TEMPLATE"])
    assert template.startswith(HEADER)
    write(team, {"team.csv": template})
    refused(team, "example")


# The folder


@pytest.mark.parametrize("place", ["code", "elsewhere"])
def test_a_wrong_folder_is_one_sentence(team, tmp_path, place):
    """In code/, or in a folder without code/libs, one sentence says where the script belongs."""
    folder = team / "code" if place == "code" else tmp_path
    shutil.copy(SCRIPT, folder)
    for args in ((), ("--force",)):
        process = pack(folder, *args)
        assert_refused(process, "code/libs/ is missing in", f"seems to be {team}", "beside code/")
        assert len(process.stderr.splitlines()) == 1
        assert not list(tmp_path.rglob("*.zip"))


# The public tests


@pytest.fixture
def with_grader(team):
    """A submission with a torch that can be found, and public tests of a given source."""

    def with_grader(source: str, torch: bool = True) -> subprocess.CompletedProcess:
        write(team, {"autograder/grade.py": source})
        if torch:
            write(team, {"torch.py": ""})
        # the script's folder is on the path without -I; -S keeps a real torch from being found
        return subprocess.run(
            [sys.executable, "-S", team / "zip_submission.py"],
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            capture_output=True,
            encoding="utf-8",
            timeout=900,
            check=False,
        )

    return with_grader


def test_public_tests_run_on_the_zip(team, with_grader):
    """The grader gets --public and the zip, and its table is shown before the closing lines."""
    process = with_grader(GRADER)
    assert process.returncode == 0, process.stderr
    table = f"q_sample 1/1 --public {team / 'submission.zip'}\n"
    assert table in process.stdout
    assert process.stdout.index(table) < process.stdout.index("sha256")


def test_failing_public_tests_leave_a_good_zip(team, with_grader):
    """Public tests that fail are said to, and neither the zip nor the exit code suffers."""
    process = with_grader("import sys\nprint('q_sample 0/1')\nsys.exit(3)\n")
    assert process.returncode == 0
    assert "q_sample 0/1" in process.stdout
    assert "did not all pass (exit code 3)" in process.stdout
    assert (team / "submission.zip").is_file()


def test_public_tests_that_hang_are_stopped(team, with_grader):
    """After the time limit the public tests and all that they started are ended."""
    script = (team / "zip_submission.py").read_text(encoding="utf-8")
    assert "CHECK_SECONDS = 600" in script
    write(team, {"zip_submission.py": script.replace("CHECK_SECONDS = 600", "CHECK_SECONDS = 1")})
    worker = f"import time, pathlib\ntime.sleep(2)\npathlib.Path({str(team / 'alive')!r}).touch()"
    start = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {worker!r}])\n"
    process = with_grader(start + "time.sleep(20)\n")
    assert process.returncode == 0, process.stderr
    assert "more than 1 seconds" in process.stdout
    assert "sha256" in process.stdout
    time.sleep(1.5)
    assert not (team / "alive").exists()


def test_no_torch_no_tests_no_check(team, with_grader):
    """One sentence says that torch or the tests are missing; --no-check runs and says nothing."""
    assert "There are no public tests here" in pack(team).stdout
    process = with_grader(GRADER, torch=False)
    assert process.returncode == 0
    assert "torch is not installed" in process.stdout
    assert "q_sample" not in process.stdout
    assert "public tests" not in pack(team, "--no-check").stdout


# The script itself


def test_needs_python_3_9_and_its_standard_library_only():
    """The script parses as Python 3.9 and imports nothing that has to be installed."""
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 9))
    imports = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
        )
    }
    assert imports <= sys.stdlib_module_names

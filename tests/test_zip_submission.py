"""zip_submission.py as a team calls it: what it refuses, what it leaves out, what it packs."""

import ast
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path
from unittest import mock

import pytest
import zip_submission

from helpers.files import ROOT, any_name
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


@pytest.fixture
def team(tmp_path):
    """The folder of a small complete submission."""
    return submission(tmp_path / "home work")


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


# Python that does not parse, or does all the same

BAD_PYTHON = {
    "syntax": ("x = 1\ndef f(:\n", 2, "invalid syntax"),
    "indent": ("def f():\npass\n", 2, "indented block"),
    "tabs": ("if x:\n\ty\n        z\n", 3, "inconsistent use of tabs"),
    "conflict": ("x = 1\n<<<<<<< HEAD\nx = 1\n=======\n>>>>>>> b\n", 2, "merge conflict"),
    "conflict_in_text": ('"""\n<<<<<<< HEAD\n=======\n>>>>>>> b\n"""\n', 2, "merge conflict"),
    "half_a_conflict": ("<<<<<<< HEAD\nx = 1\n", 1, "invalid syntax"),
    "return": ("x = 1\nreturn x\n", 2, "'return' outside function"),
    "zero_byte": ("x = 1\0\n", 1, "null bytes"),
    "latin1": ("x = 1\n\ny = 'é'\n".encode("latin-1"), 3, "UTF-8"),
    "utf16": ("x = 1\n".encode("utf-16"), 1, "UTF-8"),
    "bad_cookie": ("# coding: klingon\n", 1, "klingon"),
    "deep": ("(" * 5000 + ")" * 5000, 1, "Python"),
}
GOOD_PYTHON = {
    "bom": b"\xef\xbb\xbfx = 1\r\n",
    "crlf": b"def f():\r\n    return 1\r\n",
    "cookie": "# coding: latin-1\ny = 'é'\n".encode("latin-1"),
    "empty": b"",
    "escape": rb"x = '\d'  # a warning at most",
    "long_sum": b"x = " + b" + ".join([b"1"] * 500),
    "signs": b'"""\n=======\nTitle\n=======\n>>>>>>> x\n"""\n',
}


def test_python_files(team):
    """Each broken Python file is listed with file, line and message, and no good one is."""
    write(team, {f"code/bad/{name}.py": case[0] for name, case in BAD_PYTHON.items()})
    write(team, {f"code/good/{name}.py": source for name, source in GOOD_PYTHON.items()})
    problems = refused(team)
    for name, (_, line, message) in BAD_PYTHON.items():
        assert re.search(rf"code/bad/{name}\.py, line {line}: .*{message}", problems), problems
    assert "code/good" not in problems
    assert "Warning" not in problems
    assert f"Problems ({len(BAD_PYTHON)}):" in problems


# Absolute paths

PYTHON_PATHS = [
    "'/home/ann/data'",
    "'/home'",
    "'/Users/ann/My Documents/data'",
    "'/content/drive/MyDrive/afhq'",
    "'/content/drive/My Drive/afhq'",
    "'/data/afhq'",
    "'/data'",
    "'/tmp/x.png'",
    "'/scratch/ann'",
    "'/ocean/projects/abc123/ann'",
    "'/lab/data/*.png'",
    "'file:///home/ann/x'",
    "'~/data'",
    r"'C:\\Users\\ann'",
    r"r'C:\Users\ann\data'",
    r"r'D:\data'",
    "'C:/Users/ann'",
    r"'C:\\'",
    r"'\\\\server\\share\\data'",
    r"r'\\server\share'",
    "f'/home/{user}/data'",
    "f'/lab/{user}/data'",
    "f'~/{name}'",
    "f'C:/{name}'",
    "f'{open(\"/home/ann/x\").read()}'",
    "open('/home/ann/x', 'r')",
    "parser.add_argument('--data', default='/home/ann/data', help='folder')",
    "['--set', 'dataset.data_folder=/home/ann/data']",
    "Path(root) / '/home/ann/data'",
    "'/home/' + user",
    "'/home/%s/x' % user",
    "{'folder': ('/mnt/disk/x',)}",
    "os.path.join('/home/ann', 'x')",
    "f(\n    # a comment\n    '/home/ann/x',\n)",
]
PYTHON_OTHERS = [
    "x  # /home/ann/data",
    "'https://example.com/home/ann'",
    "'http://localhost:8000/data/x'",
    "'//cdn.example.com/x.js'",
    "'s3://bucket/data'",
    "'/'",
    "'//'",
    "' / '",
    "'/'.join(parts)",
    "a / b / c",
    "Path(a) / 'data' / 'x'",
    "f'{a}/{b}/c'",
    "f'{root}/home/ann/x'",
    "f'/{a}/{b}'",
    "f'{a:.1f}/s'",
    "f'loss/train/{epoch}'",
    "print(step, '/100 steps', '/home/ann')",
    "re.compile('/home/[a-z]+/(.*)')",
    r"r'/data/(\d+)\.png'",
    r"r'/\w+/\w+'",
    r"r't:\s*(\d+)'",
    r"r'\d+\s\w+'",
    r"r'\\d+\\w'",
    "'</b>'",
    "'<a href=\"/static/page/x\">'",
    "'/div'",
    "add('--x', help='/path/to/data, and/or a file')",
    "add('--x', help='and/or')",
    "'and/or'",
    "'either ~ or /'",
    "'~'",
    "'~3/4'",
    "'data/afhq'",
    "'../data/afhq'",
    "'./data'",
    "'a:b'",
    "'r:gz'",
    "'x: 1'",
    "'12:30'",
    "'C:'",
    "'/dev/null'",
    "'/proc/self/status'",
    "name.endswith('/data/x.png')",
    "name.replace('/train/cat', '')",
    "'/data/' in name",
    "name == '/content/drive'",
    "folder + '/data/x.png'",
    "'first\\n/home/ann/x'",
    "'/home/ann\\nsecond'",
    "'/* comment */'",
    "r'\\alpha/\\beta'",
    "b'/home/ann'",
]
DOCSTRINGS = '''"""/home/ann/module"""
class A:
    """/home/ann/class"""
    def f(self):
        """/home/ann/function"""
        x = 1
        """/home/ann/later"""
@app.route("/api/v1/draw")
def g():
    pass
'''
YAML_PATHS = [
    "folder: /home/ann/data",
    "folder: /home/ann/data  # mine",
    'folder: "/home/ann/data"',
    "folder: '/Users/ann/data'",
    "folder: /content/drive/My Drive/x",
    "folder: ~/data",
    r"folder: C:\Users\ann",
    r'folder: "C:\\Users\\ann"',
    r"folder: '\\server\share'",
    "- /data/afhq",
    "a: [x, /data/afhq]",
    "a: {b: /data/afhq, c: 1}",
    '{"a":"/data/afhq"}',
    "a: [\n  x,\n  /data/afhq ]",
    "a: !!str /data/afhq",
    "a: &b '/data/afhq'",
    "a: >-\n  /data/afhq",
    "/data/afhq: 1",
    "a:\n  - - b: /data/afhq\r",
]
YAML_OTHERS = [
    "# /home/ann/data",
    "a: 1  # /home/ann/data",
    "a: b  # 'c' /home/ann/data",
    "a: ../data/afhq",
    "a: https://example.com/home/ann",
    'a: "#/home/ann"',
    "a: b/c",
    "a: /",
    "a: ~",
    "a: and/or",
    "a: it's /home/ann's",
    "a: [1, 2/3]",
    "a: 12:30",
    "a: 2024-01-01",
    "",
]


@pytest.fixture(scope="module")
def path_problems(tmp_path_factory):
    """The list of problems of a submission with one file for each line of the tables above."""
    root = submission(tmp_path_factory.mktemp("paths"))
    for kind, table in (("hit", PYTHON_PATHS), ("miss", [*PYTHON_OTHERS])):
        write(root, {f"code/{kind}{i}.py": f"\ny = {s}\n" for i, s in enumerate(table)})
    for kind, table in (("hit", YAML_PATHS), ("miss", YAML_OTHERS)):
        write(root, {f"configs/{kind}{i}.yaml": f"\n{s}\n" for i, s in enumerate(table)})
    write(root, {"code/docstrings.py": DOCSTRINGS, "code/old/x.yml": "a: /home/ann\n"})
    write(root, {"writeup/notes.yaml": "a: /home/ann\n", "results/x.py": "a = '/home/ann'\n"})
    return refused(root)


def at_line(problems: str, name: str) -> str | None:
    """The line number that the list of problems gives for a file's absolute path, or None."""
    found = re.search(rf"  - {re.escape(name)}, line (\d+): '.*' is a path", problems)
    return found and found[1]


@pytest.mark.parametrize("source", PYTHON_PATHS)
def test_path_in_python(path_problems, source):
    """A string that is an absolute path is listed with its file and line."""
    index = PYTHON_PATHS.index(source)
    line = "4" if "\n" in source else "2"
    assert at_line(path_problems, f"code/hit{index}.py") == line, path_problems


@pytest.mark.parametrize("source", PYTHON_OTHERS)
def test_no_path_in_python(path_problems, source):
    """What only looks like an absolute path, or is never opened as one, is not listed."""
    assert f"code/miss{PYTHON_OTHERS.index(source)}.py" not in path_problems


def test_docstrings_and_routes_are_no_paths(path_problems):
    """Docstrings, strings that stand alone, and routes of web frameworks are not listed."""
    assert "code/docstrings.py" not in path_problems


@pytest.mark.parametrize("text", YAML_PATHS)
def test_path_in_yaml(path_problems, text):
    """A YAML value or key that is an absolute path is listed with its file and line."""
    expected = 2 + text.count("\n", 0, text.rindex(max(re.findall(r"[\w/\\~]+", text), key=len)))
    assert at_line(path_problems, f"configs/hit{YAML_PATHS.index(text)}.yaml") == str(expected)


@pytest.mark.parametrize("text", YAML_OTHERS)
def test_no_path_in_yaml(path_problems, text):
    """Comments, relative paths, URLs and null in YAML are not listed."""
    assert f"configs/miss{YAML_OTHERS.index(text)}.yaml" not in path_problems


def test_paths_are_looked_for_in_code_and_configs_only(path_problems):
    """YAML below code/ counts as a config; writeup/ and results/ may say what they like."""
    assert at_line(path_problems, "code/old/x.yml") == "1"
    assert "notes.yaml" not in path_problems
    assert "results/" not in path_problems


def test_the_kits_own_files_have_no_problem(team):
    """The code and configs of this kit pass the checks, and none of it counts as a stub."""
    for name in ("code", "configs"):
        shutil.copytree(ROOT / name, team / name, dirs_exist_ok=True)
    process = pack(team)
    assert process.returncode == 0, process.stderr
    assert "Warning" not in process.stdout, process.stdout


# Stubs, size, models, force

STUBS = '''class DDPM:
    def q_sample(self):
        # TODO
        raise NotImplementedError("see eq. 4")

    def p_sample(self):
        for _ in "ab":
            raise NotImplementedError
    def done(self):
        """raise NotImplementedError"""
        raise ValueError(NotImplementedError)

class Images:
    def select(self):
        raise NotImplementedError

class Faces(Images):
    def select(self):
        return 1

def outer():
    async def inner():
        raise NotImplementedError("x")
'''


def test_stubs_of_the_core_ask_for_force(team):
    """Core functions without an answer are named with lines; --force hands them in like that."""
    write(team, {"code/libs/ddpm.py": STUBS, "results/x.py": STUBS})
    problems = refused(team, "Problems (2)")
    assert "  - DDPM.q_sample (code/libs/ddpm.py, line 4) is not implemented" in problems
    assert "  - DDPM.p_sample (code/libs/ddpm.py, line 8) is not implemented" in problems
    process = pack(team, "--force")
    assert process.returncode == 0
    assert "Not implemented, as bonus parts may be: outer.inner" in process.stdout
    names = zipfile.ZipFile(team / "submission.zip").namelist()
    assert "PROBLEMS.txt" not in names  # the missing points are enough: no instruction is broken


def test_stubs_of_the_bonus_are_a_note(team):
    """A bonus part that nobody began takes one line, and is no problem and no warning."""
    bonus = "".join(
        f"def step{i}():\n    raise NotImplementedError('see eq. {i}')\n" for i in "1234"
    )
    write(team, {"code/libs/edm.py": bonus})
    process = pack(team)
    assert (process.returncode, process.stderr) == (0, "")
    note, *rest = process.stdout.splitlines()
    assert note.startswith(
        "Not implemented, as bonus parts may be: step1 (code/libs/edm.py, line 2)"
    )
    assert note.endswith("and 1 more")
    assert not any("Warning" in line for line in rest)


def test_functions_of_the_core_that_do_nothing_are_stubs(team):
    """pass, ... and `return None` instead of an answer; an own limit under an if is none."""
    body = '''class DDPM:
    def q_sample(self):
        """Text."""
        pass

    def compute_loss(self): ...

    def p_sample(self):
        return None

    def p_sample_loop(self, x):
        if x > 3:
            raise NotImplementedError("only three")
        return x

    def __init__(self):
        pass
'''
    write(team, {"code/libs/ddpm.py": body})
    problems = refused(team, "Problems (3)")
    assert re.findall(r"- DDPM\.(\w+) .*line (\d+)", problems) == [
        ("q_sample", "2"),
        ("compute_loss", "6"),
        ("p_sample", "8"),
    ]


def sparse(path: Path, size: int) -> None:
    """Make a file of zeros of a number of bytes that takes no place on the disk."""
    with open(path, "wb") as file:
        file.truncate(size)


def test_size_limit_counts_all_but_the_model(team, tmp_path):
    """More than 50 MB are refused with the largest files' names; a model does not count."""
    sparse(team / "results" / "big.png", 30_000_000)
    sparse(team / "results" / "film.gif", 21_000_000)
    refused(team, "51.0 MB", "limit of 50.0 MB", "results/big.png (30.0 MB), results/film.gif")
    (team / "results" / "big.png").unlink()
    (team / "results" / "film.gif").unlink()
    sparse(tmp_path / "model_final.pth", 51_000_000)
    process = pack(team, "--with-model", "../model_final.pth")
    assert process.returncode == 0, process.stderr
    assert "model_final.pth, 51.0 MB" in process.stdout
    info = zipfile.ZipFile(team / "submission.zip").getinfo("model/model_final.pth")
    assert info.file_size == 51_000_000


def test_model_above_the_limit(team, tmp_path):
    """A model of 2 GB is refused with its size; --force packs it, a piece at a time."""
    sparse(tmp_path / "sd.ckpt", 2_000_000_000)
    args = ("--with-model", tmp_path / "sd.ckpt")
    refused(team, "sd.ckpt has 2.0 GB, above the limit of 1.0 GB", args=args)
    survey = zip_submission.Survey(team, team / "submission.zip")
    pieces = []

    def copy(source, target, length):
        pieces.append(length)
        target.write(source.read(10))

    extra = {"model/sd.ckpt": tmp_path / "sd.ckpt"}
    with mock.patch.object(zip_submission.shutil, "copyfileobj", copy):
        zip_submission.write_zip(team / "x.zip", survey, extra)
    assert set(pieces) == {1 << 20}


def test_model_that_is_not_there(team):
    """A model that does not exist is one of the problems."""
    refused(team, "no file nothing.pth", args=("--with-model", "nothing.pth"))


def test_all_problems_come_at_once_and_nothing_is_written(tmp_path):
    """Several problems make one list; an older zip is left alone and called older."""
    root = submission(tmp_path / "team")
    packed(root)
    before = (root / "submission.zip").read_bytes()
    shutil.rmtree(root / "configs")
    (root / "team.csv").unlink()
    write(root, {"code/train.py": "def f(:\n", "code/x.py": "y = '/home/ann'\n"})
    process = pack(root)
    assert_refused(process, "Problems (4):", "configs/", "team.csv", "line 1", "'/home/ann'")
    assert "an older one" in process.stderr
    assert (root / "submission.zip").read_bytes() == before


def test_force_packs_the_problems_too(team):
    """--force writes the zip despite problems, with their list in PROBLEMS.txt."""
    (team / "team.csv").unlink()
    shutil.rmtree(team / "results")
    process = pack(team, "--force")
    assert process.returncode == 0
    assert "team.csv is missing" in process.stderr
    with zipfile.ZipFile(team / "submission.zip") as archive:
        text = archive.read("PROBLEMS.txt").decode()
        assert "code/train.py" in archive.namelist()
    assert text.count("  - ") == 2
    assert "team.csv is missing" in text
    assert "results/" in text


def test_force_without_problems_is_the_plain_zip(team):
    """--force changes nothing where nothing is wrong."""
    assert packed(team) == packed(team, "--force")


@pytest.mark.parametrize("out", ["team.csv", "code", "nowhere/x.zip"])
def test_output_that_would_destroy_work(team, out):
    """--out refuses what is no zip, a folder, and a folder that does not exist."""
    assert_refused(pack(team, "--out", out), "--out")
    assert (team / "team.csv").read_text(encoding="utf-8") == TEAM


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names that are any bytes")
def test_file_name_that_is_not_unicode(team):
    """A file name that no zip can hold is a problem, not a crash."""
    with open(os.fsencode(team) + b"/results/\xff.png", "wb"):
        pass
    refused(team, "not valid Unicode")


# What is warned of


def warnings(root: Path) -> list[str]:
    """The warnings about a folder that is packed all the same, each one line."""
    process = pack(root, "--no-check")
    assert (process.returncode, process.stderr) == (0, ""), process.stdout + process.stderr
    lines = process.stdout.splitlines()
    found = [line[4:] for line in lines if line.startswith("  - ")]
    assert (f"Warnings ({len(found)}):" in lines) == bool(found)
    return found


def test_results_with_nothing_but_the_readme(team):
    """A results/ folder as the starter has it is pointed out, one with a film is not."""
    write(team, {"results/README.md": "# What goes here"})
    assert warnings(team) == []
    (team / "results" / "loss.csv").unlink()
    write(team, {"results/best.pth": "x"})
    (warning,) = warnings(team)
    assert warning.startswith("results/ holds nothing but its README")


def notebook(outputs: object) -> str:
    """A notebook with one cell."""
    return json.dumps({"cells": [{"cell_type": "code", "outputs": outputs}], "nbformat": 4})


def test_notebooks_with_long_outputs(team):
    """Outputs above 1 MB are named with their size and the command that clears them."""
    picture = [{"data": {"image/png": "x" * 3_000_000}}]
    write(team, {"code/long.ipynb": notebook(picture), "code/short.ipynb": notebook([])})
    write(team, {"results/cut.ipynb": notebook([])[:-9]})
    first, second = warnings(team)
    assert first.startswith(
        "code/long.ipynb holds 3.0 MB of outputs; clear them: jupyter nbconvert"
    )
    assert second.startswith("results/cut.ipynb is no notebook")


def test_huge_notebooks_are_not_read(team):
    """A notebook that outputs made huge costs no memory: its size alone is looked at."""
    path = team / "code" / "huge.ipynb"
    with path.open("wb") as file:
        file.truncate(zip_submission.MAX_NOTEBOOK + 1)  # not JSON: reading would show it
    (warning,) = warnings(team)
    assert warning.startswith("code/huge.ipynb holds 20.0 MB of outputs; clear them: jupyter")


FOR_WINDOWS = [
    "aux.txt",
    "CON",
    "a:b.png",
    "what?.png",
    "lpt1.tar.c",
    "end.",
    "end ",
    "a\\b",
    "a\nb",
]
FOR_ALL = ["auxiliary.txt", "console.py", "com10.txt", "my.aux", ".hidden", "a b (1).png", "ä.png"]


@any_name
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_names_that_windows_refuses(team):
    """Each name, also of a folder, is named on one line; names that only look alike are not."""
    write(team, {f"results/{name}": "x" for name in [*FOR_WINDOWS, *FOR_ALL]})
    write(team, {"results/nul/x.png": "x", "results/" + "a" * 120 + "/" + "b" * 120: "x"})
    found = warnings(team)
    assert len(found) == len(FOR_WINDOWS) + 2
    assert sum("Windows allows no file" in line for line in found) == len(FOR_WINDOWS) + 1
    assert sum("too long for Windows" in line for line in found) == 1
    assert all(line.isprintable() for line in found)


def test_names_that_differ_only_in_case(team):
    """Two names that Windows and macOS take for one are named together, folders once per file."""
    write(team, {"results/Grid.png": "x", "results/grid.PNG": "y"})
    if len(os.listdir(team / "results")) < 3:
        pytest.skip("this disk takes the names for the same")
    write(team, {"results/a/x.png": "x", "results/A/y.png": "y", "results/B/z.png": "y"})
    one, two = warnings(team)
    assert one.startswith("results/A and results/a: Windows and macOS")
    assert two.startswith("results/Grid.png and results/grid.PNG: ")


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"
TOKENS = {
    "key": KEY,
    "keys.txt": "x\nWANDB_API_KEY=0123456789abcdef0123456789abcdef01234567\n",
    "short.txt": "API_KEY=abc123\n",
    "run.sh": "export HF_TOKEN=hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH\n",
    "aws.cfg": "key = AKIAIOSFODNN7EXAMPLE\n",
    "git.json": '{"url": "https://ghp_0123456789abcdefghijABCDEFGHIJ012345@github.com"}',
    "login.json": '{"password": "correct1horse2battery3"}',
}
NO_TOKENS = {
    "code.txt": "API_KEY=$WANDB_API_KEY\nAPI_KEY=your_key_here\nAPI_KEY=<paste it>\nAPI_KEY=\n",
    "doc.txt": "token = tokenizer.encode(text)\nsecret_key: none\npassword='short1'\n",
    "yaml.txt": "tokenizer: openai/clip-vit-large-patch14\napi_key: null\n",
    "sha.txt": "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n",
    "pub.txt": "ssh-rsa AAAAB3NzaC1yc2E me@host\n-----BEGIN CERTIFICATE-----\n",
    "risk.txt": "task-0123456789012345678901234567890123456789\n",
}


def test_secrets_are_left_out_and_said(team):
    """Files with keys and tokens stay out of the zip by what they hold; look-alikes stay in."""
    write(team, {f"results/{name}": text for name, text in {**TOKENS, **NO_TOKENS}.items()})
    names = set(packed(team))
    assert not names & {f"results/{name}" for name in TOKENS}
    assert names >= {f"results/{name}" for name in NO_TOKENS}
    output = pack(team).stdout
    assert "Left out, secrets (keys, passwords, tokens): results/" in output
    assert "Warnings" not in output


def test_secrets_in_code_are_named_and_the_code_stays(team):
    """Code that holds a token is handed in, since it is graded, and named with its line."""
    source = "import wandb\n\nwandb.login(key='x')\nAPI_KEY = '0123456789abcdef0123456789abcdef'\n"
    write(team, {"code/track.py": source, "configs/x.yaml": "api_key: 'a1b2c3d4e5f6a7b8c9d0'\n"})
    first, second = warnings(team)
    assert first.startswith("code/track.py, line 4: this looks like a password, key or token")
    assert second.startswith("configs/x.yaml, line 1: ")
    assert "code/track.py" in zipfile.ZipFile(team / "submission.zip").namelist()


def zip_of(*names: str) -> bytes:
    """A zip with empty files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return file.getvalue()


def test_zips_inside_the_zip(team):
    """Earlier submissions and checkpoints stay out, whatever their names; others are warned of."""
    write(
        team,
        {
            "results/final.zip": zip_of("code/libs/ddpm.py"),
            "writeup/old": zip_of("hw4/team.csv"),
            "results/weights.bin": zip_of("archive/data.pkl", "archive/version"),
            "results/films.zip": zip_of("film.gif"),
            "results/broken.zip": b"PK\3\4",
            "writeup/notes.docx": zip_of("word/document.xml"),
        },
    )
    output = pack(team).stdout
    assert "Left out, earlier submissions: writeup/old, results/final.zip\n" in output
    assert re.search(r"Left out, checkpoints .*: results/weights.bin\n", output)
    first, second = warnings(team)
    assert first.startswith("results/broken.zip: the grader opens no archive")
    assert second.startswith("results/films.zip: ")


# The report


def page(text: bytes, packed: bool = True) -> bytes:
    """A stream of a PDF."""
    data = zlib.compress(text) if packed else text
    return b"1 0 obj\n<</Length %d>>\nstream\n%s\nendstream\nendobj\n" % (len(data), data)


def pdf(*texts: bytes, packed: bool = True) -> bytes:
    """As much of a PDF as the checks look at."""
    return b"%PDF-1.5\n" + b"".join(page(text, packed) for text in texts) + b"%%EOF\n"


LATEX = rb"BT /F8 9.96 Tf 72 700 Td [(Y)83(our)-333(answ)28(er)-333(here.)]TJ ET "
SUBSET = b"/F1 Tf <00010002> Tj <0003> Tj BT (\\000\\004\\000\\005) Tj ET "
LETTERS = (
    b"2 beginbfchar <0001> <0059006f0075> <0002> <0072> endbfchar "
    b"1 beginbfrange <0003> <0003> <0061> endbfrange "
    b"1 beginbfrange <0004> <0005> [<006e0073007700650072> <0068006500720065>] endbfrange"
)


@pytest.mark.parametrize(
    ("report", "count"),
    [
        (pdf(LATEX * 3), 3),
        (pdf(LATEX, LATEX * 2, packed=False), 3),
        (pdf(SUBSET * 2, LETTERS, LATEX), 3),
        (pdf(b"(Your \\(answer\\) here) Tj"), 0),
        (pdf(b"BT (A report) Tj ET"), 0),
        (b"%PDF-1.7", 0),
        (b"%PDF- stream\n\x78\x9c broken endstream", 0),
    ],
    ids=["LaTeX", "not packed", "numbered letters", "other", "none", "empty", "damaged"],
)
def test_phrases_in_a_pdf(report, count):
    """A phrase is counted in packed and plain streams, in letters as LaTeX and fpdf2 write them."""
    assert zip_submission.count_in_pdf(report, zip_submission.ANSWER) == [count]


def test_a_pdf_made_to_keep_the_reader_busy(monkeypatch):
    """What a hostile PDF may hold is read up to limits, and in a time that grows with its size."""
    monkeypatch.setattr(zip_submission, "MAX_UNPACKED", 300_000)
    bomb = page(b"()" * 1_000_000)
    for content in (
        b"stream\n" * 300_000,
        bomb * 3,
        page(b"beginbfchar" * 200_000),
        page(b"Tj " + b"(" * 200_000),
        page(b"Tj (" + b"\\(" * 100_000),
        page(b"beginbfrange" + b"[" * 200_000),
        page(b"beginbfrange" + b"<0000><ffffffff><0000>" * 9_000),
        page(b"beginbfrange<0000><ffffffff><0000>") * 2_000,
        page(b"beginbfrange<0000><ffffffff><" + b"0041" * 50_000 + b">"),
    ):
        assert zip_submission.count_in_pdf(content, "x") == [0]
    assert len(list(zip_submission.pdf_streams(bomb * 3))) == 1


def test_the_template_as_report_asks_for_force(team):
    """A PDF with all the template's placeholders is refused; some that are left are a warning."""
    write(team, {"writeup/report.pdf": pdf(LATEX * zip_submission.ANSWERS)})
    refused(team, "writeup/report.pdf is the template; answer its questions")
    assert pack(team, "--force").returncode == 0
    assert "PROBLEMS.txt" not in zipfile.ZipFile(team / "submission.zip").namelist()
    write(team, {"writeup/report.pdf": pdf(LATEX * 2, b"(Team: name of your team) Tj")})
    first, second = warnings(team)
    assert first.startswith("writeup/report.pdf still says 'Your answer here' in 2 places")
    assert second.startswith("writeup/report.pdf still says 'Team: name of your team'")
    write(team, {"writeup/report.pdf": pdf(LATEX * zip_submission.ANSWERS)})
    write(team, {"writeup/final.pdf": pdf(b"(all answered) Tj")})
    (warning,) = warnings(team)
    assert warning.startswith("writeup/report.pdf is the template; ")


def test_a_report_older_than_its_source(team):
    """The source's content decides where the PDF names it, otherwise the times; templates stay."""
    source, report = team / "writeup" / "report.md", team / "writeup" / "report.pdf"
    digest = hashlib.sha256(b"# New").hexdigest()[:16]
    write(team, {"writeup/report.md": "# New", "writeup/a b.png": "pixels"})
    made_of = f"report.md={digest} a%20b.png={hashlib.sha256(b'pixels').hexdigest()[:16]}"
    report.write_bytes(b"%%PDF-1.7\n/Keywords (made of %s)\n%%%%EOF" % made_of.encode())
    os.utime(report, (1e9, 1e9))
    assert warnings(team) == []
    write(team, {"writeup/report.md": "# Newer", "writeup/a b.png": "other pixels"})
    assert warnings(team) == [
        f"writeup/report.pdf was made before {name} was changed; make it again with `make report`"
        for name in ("report.md", "a b.png")
    ]
    report.write_bytes(b"%PDF-1.7 by another program\n%%EOF")
    for seconds, number in ((1e9, 1), (2e9, 0)):
        os.utime(report, (seconds, seconds))
        assert len(warnings(team)) == number
    os.utime(report, (1e9, 1e9))
    source.write_text(f"{zip_submission.ANSWER}\n" * zip_submission.ANSWERS)
    assert warnings(team) == []
    report.write_bytes(b"%PDF-1.7 cut")
    assert "has no end" in warnings(team)[0]


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

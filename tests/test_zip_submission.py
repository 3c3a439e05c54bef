"""zip_submission.py as a team calls it: what it refuses, what it leaves out, what it packs."""

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

import pytest
from conftest import ROOT, assert_refused

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
            "code/train.py": "print('trains')\n",
            "configs/digits.yaml": "dataset:\n  name: Digits\n",
            "writeup/report.pdf": b"%PDF-1.7 a report",
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
    """Run the folder's copy of the script, without site-packages, as any Python would."""
    command = [sys.executable, "-I", "-S", root / "zip_submission.py", *args]
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd or root,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
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
    names = ["code/train.py", "configs/digits.yaml", "results/loss.csv", "team.csv"]
    content = packed(team)
    assert list(content) == [*names, "writeup/report.pdf"]
    assert content["team.csv"] == TEAM.encode()


def test_ends_with_path_size_number_and_hash(team):
    """The last lines tell the zip's path, size, number of files and sha256."""
    process = pack(team)
    path, digest = process.stdout.splitlines()[-2:]
    archive = team / "submission.zip"
    assert path.startswith(f"{archive}: ")
    assert path.endswith(f"{archive.stat().st_size / 1000:.1f} kB, 5 files")
    assert digest == f"sha256 {hashlib.sha256(archive.read_bytes()).hexdigest()}"


def test_works_on_the_folder_of_the_script(team, tmp_path):
    """Called from another folder it packs its own folder; paths in flags are of the caller."""
    (tmp_path / "else").mkdir()
    assert pack(team, cwd=tmp_path / "else").returncode == 0
    assert (team / "submission.zip").is_file()
    assert pack(team, "--out", "mine.zip", cwd=tmp_path / "else").returncode == 0
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
    script = (team / "zip_submission.py").read_text(encoding="utf-8")
    fail = "os.replace(partial, out)"
    assert fail in script
    script = script.replace(fail, "raise OSError(28, 'No space left on device', 'x')")
    write(team, {"zip_submission.py": script, "results/new.csv": "1"})
    assert_refused(pack(team), "No space left")
    assert (team / "submission.zip").read_bytes() == before
    assert not list(team.rglob("*.partial"))


# What is left out


LEFT_OUT = {
    "data, logs": ["code/data/MNIST/raw.gz", "results/logs/run/log.txt", "code/pretrained/w.bin"],
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
    assert "results/logs/" in process.stdout
    assert "and 3 more" in process.stdout


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
    write(team, {"writeup/Report.PDF": ""})
    refused(team, "writeup/Report.PDF is empty")
    (team / "writeup" / "Report.PDF").unlink()
    write(team, {"writeup/figures/loss.pdf": "%PDF-1.7"})
    refused(team, "no PDF in writeup/")


def test_code_without_python(team):
    """A code/ folder whose files are all left out is a problem."""
    shutil.move(team / "code" / "train.py", team / "code" / "train.pth")
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
    "conflict": ("<<<<<<< HEAD\nx = 1\n", 1, "invalid syntax"),
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


def test_stubs_are_a_warning(team):
    """Functions that still raise NotImplementedError are named with lines, and handed in."""
    write(team, {"code/libs/ddpm.py": STUBS, "results/x.py": STUBS})
    process = pack(team)
    assert process.returncode == 0, process.stderr
    listed = [line for line in process.stdout.splitlines() if line.startswith("  - ")]
    assert listed == [
        "  - DDPM.q_sample (code/libs/ddpm.py, line 4)",
        "  - DDPM.p_sample (code/libs/ddpm.py, line 8)",
        "  - outer.inner (code/libs/ddpm.py, line 23)",
    ]
    assert "Warning" in process.stdout


def sparse(path: Path, size: int) -> None:
    """Make a file of zeros of a number of bytes that takes no place on the disk."""
    with open(path, "wb") as file:
        file.truncate(size)


def test_size_limit_counts_all_but_the_model(team, tmp_path):
    """More than 50 MB are refused with the largest files' names; a model does not count."""
    sparse(team / "results" / "big.npz", 30_000_000)
    sparse(team / "results" / "film.gif", 21_000_000)
    refused(team, "51.0 MB", "limit of 50.0 MB", "results/big.npz (30.0 MB), results/film.gif")
    (team / "results" / "big.npz").unlink()
    (team / "results" / "film.gif").unlink()
    sparse(tmp_path / "model_final.pth", 51_000_000)
    process = pack(team, "--with-model", "../model_final.pth")
    assert process.returncode == 0, process.stderr
    assert "model_final.pth, 51.0 MB" in process.stdout
    info = zipfile.ZipFile(team / "submission.zip").getinfo("model/model_final.pth")
    assert info.file_size == 51_000_000


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
            timeout=30,
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

"""zip_submission.py lists code that does not parse, and absolute paths in code and configs."""

import re
import shutil

import pytest

from helpers.files import ROOT
from helpers.packing import (
    pack,
    refused,
    submission,
    write,
)

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

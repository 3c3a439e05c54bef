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
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tokenize
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("code", "configs", "writeup", "results")
TEAM_COLUMNS = ("member", "NetID", "contribution")
TEAM_TEMPLATE = "member,NetID,contribution\nExample Name,netid,what this member did\n"
MAX_BYTES = 50_000_000  # of all files but the model, before compression
CHECK_SECONDS = 600  # for the public tests

DATA, CACHES = "data, logs and downloads", "caches, environments and .git"
LEFT_OUT = {  # reason: names, compared in lower case
    DATA: ["data", "logs", "pretrained"],  # of folders
    "checkpoints (--with-model FILE adds one)": ["*.pth", "*.pt", "*.ckpt", "*.safetensors"],
    CACHES: ["__pycache__", "*.pyc", ".*_cache", ".ipynb_checkpoints", ".venv", ".git"],
    "litter": [".ds_store", "thumbs.db", "__macosx", "desktop.ini", "._*", "*.partial"],
    "TensorBoard events": ["*.tfevents.*"],
}

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
            reason = "links that lead nowhere, and other things that are no files"
        elif path.is_dir() and any(Path(folder).is_relative_to(real) for folder in above):
            reason = "links that lead in circles"
        else:
            reason = why_left_out(path) or (path.is_symlink() and why_left_out(Path(real)))
        if reason:
            self.left_out.setdefault(reason, []).append(f"{name}/" if path.is_dir() else name)
        elif path.is_dir():
            self._add_folder(path, name, (*above, real))
        elif not is_unicode(name):
            self.problems.append(f"the name {name!r} is not valid Unicode; rename the file")
        elif not os.access(path, os.R_OK):
            self.problems.append(f"{name} cannot be read; change its permissions")
        else:
            self.files[name] = path

    def names(self, tops: tuple[str, ...], *suffixes: str) -> list[str]:
        """Names of the files to pack that lie below one of the folders and end in a suffix."""
        return [n for n in self.files if n.split("/")[0] in tops and n.lower().endswith(suffixes)]


def is_unicode(name: str) -> bool:
    """False for a file name with bytes that are not UTF-8, which no zip can hold."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def why_left_out(path: Path) -> str | None:
    """The reason why a file or folder of this name stays out, or None."""
    name = path.name.lower()
    for reason, patterns in LEFT_OUT.items():
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            # code/libs/data/ may be a Python package, and configs/data/ a group of configs
            sources = any(any(path.glob(kind)) for kind in ("*.py", "*.yaml", "*.yml"))
            return None if reason is DATA and (sources or not path.is_dir()) else reason
    return CACHES if (path / "pyvenv.cfg").is_file() else None


def check_report(survey: Survey) -> Iterator[str]:
    """Problems of the PDF directly in writeup/ (one in a folder below may be a mere figure)."""
    pdfs = [name for name in survey.names(("writeup",), ".pdf") if name.count("/") == 1]
    if not pdfs and "writeup" in survey.folders:
        yield "there is no PDF in writeup/; put the report there (not into a folder below it)"
    for name in pdfs:
        with open(survey.files[name], "rb") as file:
            if b"%PDF-" not in file.read(1024):
                yield f"{name} is empty or no PDF; export the report anew"


def check_team(survey: Survey) -> Iterator[str]:
    """Problems of team.csv, each with its line."""
    header = ",".join(TEAM_COLUMNS)
    if "team.csv" not in survey.files:
        yield f"team.csv is missing; its first line is {header}, then comes one line a member"
        return
    try:
        text = survey.files["team.csv"].read_bytes().decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        yield f"team.csv cannot be read ({error}); save it as CSV in UTF-8"
        return
    missing = [column for column in TEAM_COLUMNS if column not in (reader.fieldnames or ())]
    if not text.strip():
        yield f"team.csv is empty; its first line is {header}, then comes one line a member"
    elif missing:
        hint = ", with commas between them" if ";" in text or "\t" in text else ""
        yield (
            f"team.csv lacks {'the columns' if missing[1:] else 'the column'} {', '.join(missing)};"
            f" its first line must be {header}{hint}"
        )
    elif not any((row[column] or "").strip() for _, row in rows for column in TEAM_COLUMNS):
        yield "team.csv names nobody; add one line a member"
    else:
        for line, row in rows:
            yield from check_member(f"team.csv, line {line}", row)


def check_member(where: str, row: dict) -> Iterator[str]:
    """Problems of one row of team.csv; a row of empty cells, as spreadsheets leave, is none."""
    if any(row.get(None, [])):
        yield f"{where}: more values than columns; put text that holds commas in double quotes"
        return
    values = {column: (row[column] or "").strip() for column in TEAM_COLUMNS}
    example = next(csv.DictReader(io.StringIO(TEAM_TEMPLATE)))
    empty = [column for column, value in values.items() if not value]
    if any(values[c].lower() == example[c].lower() for c in ("member", "NetID")):
        yield f"{where}: this is still the template's example; put your own team there"
    elif empty and len(empty) < len(values):
        yield f"{where}: nothing under {' and '.join(empty)}"


def check_code(survey: Survey) -> Iterator[str]:
    """Problems of Python and YAML files: mistakes of syntax, and absolute paths."""
    if "code" in survey.folders and not survey.names(("code",), ".py"):
        yield "code/ holds no Python file to hand in"
    for name in survey.names(("code", "configs"), ".py", ".yaml", ".yml"):
        source = survey.files[name].read_bytes()
        if name.lower().endswith(".py"):
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
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        texts = [part.value if isinstance(part, ast.Constant) else "{}" for part in parts]
        text = "".join(t for t in texts if isinstance(t, str))
        if id(node) not in harmless and is_absolute(text):
            yield node.lineno, text


def harmless_parts(node: ast.AST) -> list[ast.AST | None]:
    """Parts of a node that, as strings, are never opened as they stand: docstrings, help, ..."""
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


def stubs(trees: dict[str, ast.Module]) -> list[str]:
    """Functions that still raise NotImplementedError, each with file and line."""
    classes = [n for tree in trees.values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    extended = {getattr(b, "attr", getattr(b, "id", "")) for c in classes for b in c.bases}
    found: dict[tuple, str] = {}
    for name, tree in trees.items():
        for line, scope, has_message in sorted(not_implemented(tree)):
            # without a message in a class that others extend, it is a method for them to fill in
            if has_message or not extended.intersection(scope[:-1]):
                found.setdefault((name, scope), f"{'.'.join(scope)} ({name}, line {line})")
    return list(found.values())


def not_implemented(tree: ast.Module) -> Iterator[tuple[int, tuple[str, ...], bool]]:
    """Line, names of class and function, and whether there is a message, of each such raise."""
    stack: list[tuple[ast.AST, tuple[str, ...]]] = [(tree, ())]
    while stack:
        node, scope = stack.pop()
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            scope = (*scope, node.name)
        if isinstance(node, ast.Raise) and scope:
            has_message = isinstance(node.exc, ast.Call)
            error = node.exc.func if has_message else node.exc
            if getattr(error, "id", "") == "NotImplementedError":
                yield node.lineno, scope, has_message and bool(node.exc.args)
        stack.extend((child, scope) for child in ast.iter_child_nodes(node))


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


def shown_size(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


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
    """Run the public tests on the zip in a process of its own, and say how they ended."""
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
    """All that stands against handing in, one sentence each."""
    problems = list(survey.problems)
    for check in (check_report, check_team, check_code, check_size):
        problems.extend(check(survey))
    if model and not model.is_file():
        problems.append(f"--with-model: there is no file {model}")
    elif model and not is_unicode(model.name):
        problems.append(f"--with-model: the name {model.name!r} is not valid Unicode; rename it")
    return problems


def print_notes(survey: Survey, model: Path | None) -> None:
    """Say what is left out, what is not implemented, and how large the model is."""
    for reason, names in survey.left_out.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        print(f"Left out, {reason}: {', '.join(names[:3])}{more}")
    if model and model.is_file():
        print(f"Model, not counted in the limit: {model}, {shown_size(model.stat().st_size)}")
    todo = stubs(survey.trees)
    if todo:
        print("Warning: these still raise NotImplementedError, and are handed in like this:")
        print("".join(f"  - {stub}\n" for stub in todo), end="")


def main() -> int:
    """Check, pack, test; returns the exit code."""
    root = Path(os.path.abspath(__file__)).parent
    args = parse_args(root)
    out = args.out.absolute()
    survey = Survey(root, out)
    problems = find_problems(survey, args.with_model)
    print_notes(survey, args.with_model)
    listed = "".join(f"  - {problem}\n" for problem in problems)
    if problems:
        print(f"Problems ({len(problems)}):\n{listed}", end="", file=sys.stderr)
    if problems and not args.force:
        old = f" The {out.name} that lies there is an older one." if out.exists() else ""
        print(f"Nothing was written: mend these, or add --force.{old}", file=sys.stderr)
        return 2
    extra: dict[str, Path | bytes] = {}
    if problems:
        extra["PROBLEMS.txt"] = listed.encode("utf-8", "backslashreplace")
    if args.with_model and args.with_model.is_file():
        extra[f"model/{args.with_model.name}"] = args.with_model
    number = write_zip(out, survey, extra)
    if not args.no_check:
        run_public_tests(root / "autograder" / "grade.py", out)
    print(f"{out}: {shown_size(out.stat().st_size)}, {number} files")
    print(f"sha256 {sha256(out)}")
    return 0


def sha256(path: Path) -> str:
    """The hash of a file that may be larger than memory, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # a console may lack the letters of a file's name
        stream.reconfigure(errors="backslashreplace", line_buffering=True)
    try:
        sys.exit(main())
    except OSError as error:
        print(f"error: {error.strerror}: {error.filename or ''}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        sys.exit(130)

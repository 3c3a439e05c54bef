"""Cut the students' starter from this branch: python instructor/release.py --out ../starter

Every region between BEGIN SOLUTION and END SOLUTION becomes a stub that raises NotImplementedError
with its TODO text. What else goes out is listed in GOES_OUT, what stays of it in STAYS_HERE.
Placeholders such as {{due}} in Markdown texts are filled in from instructor/course.yaml. Nothing is
written if a line of a solution survives in the starter, or if a text names a file that stays.
"""

import argparse
import ast
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import tokenize
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "instructor")]

from autograder.rubric import load_rubric
from autograder.text import InputError, visible
from texts import COURSE, Course, find_dangling, for_students, read_course, values_of

GOES_OUT = ("code", "configs", "docs", "notebooks", "writeup", "results", "LICENSE", ".gitignore")
GOES_OUT += (
    "requirements.txt",
    "requirements",
    "download_dataset.sh",
    "zip_submission.py",
    "autograder",
)
OVERLAY = "instructor/starter"  # the students' own README, Makefile and team.csv
# Expected values of the hidden tests, tools of instructors, and what is too much like a solution.
STAYS_HERE: tuple[str, ...] = ("autograder/hidden", "autograder/extras")
STAYS_HERE += ("docs/samplers.md",)
STAYS_HERE += tuple(f"requirements/{name}.txt" for name in ("bench", "dev", "grade"))
TOO_MUCH_LIKE_DDIM = ("ancestral", "dpm_solver")
STAYS_HERE += tuple(f"code/libs/samplers/{name}.py" for name in TOO_MUCH_LIKE_DDIM)
BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
RUN_OF_LINES = 3  # so many lines of a solution in a row elsewhere are a leak
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class ReleaseError(Exception):
    """Why the starter cannot be cut; names file and line."""


@dataclass
class Region:
    """A marked solution: its place, the text of its task, and its lines."""

    file: str
    line: int  # of the BEGIN marker, counted from 1
    todo: str
    lines: list[str]

    def significant(self) -> list[str]:
        """The lines in normal form, without empty ones and comments."""
        return [text for line in self.lines if (text := normalise(line.split("#")[0]))]


def cut(text: str, file: str) -> tuple[str, list[Region]]:
    """Replace the marked regions of a file by stubs.

    Returns:
        The starter's text, and the regions taken out.

    Raises:
        ReleaseError: markers are nested or unbalanced, a region has no TODO text or no lines, or
            the result is no valid Python.
    """
    kept: list[str] = []
    regions: list[Region] = []
    begin = None
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        marker = line.strip()
        if marker == BEGIN:
            if begin is not None:
                raise ReleaseError(
                    f"{file}, line {number}: BEGIN inside the region of line {begin}"
                )
            begin = number
        elif marker == END:
            if begin is None:
                raise ReleaseError(f"{file}, line {number}: END without BEGIN")
            todo = todo_above(lines[: begin - 1])
            if not todo:
                raise ReleaseError(f"{file}, line {begin}: no '# TODO ...: ' above the region")
            region = Region(file, begin, todo, lines[begin : number - 1])
            if not region.significant():
                raise ReleaseError(f"{file}, line {begin}: the region is empty")
            regions.append(region)
            kept += stub(region, indent=len(line) - len(line.lstrip()))
            begin = None
        elif "BEGIN SOLUTION" in line or "END SOLUTION" in line:
            raise ReleaseError(f"{file}, line {number}: a marker stands on a line of its own")
        elif begin is None:
            kept.append(line)
    if begin is not None:
        raise ReleaseError(f"{file}, line {begin}: BEGIN without END")
    starter = "\n".join(kept) + "\n"
    if file.endswith(".py"):
        try:
            ast.parse(starter)
        except SyntaxError as error:
            raise ReleaseError(f"{file}, line {error.lineno}: the starter does not parse") from None
    return starter, regions


def todo_above(lines: list[str]) -> str:
    """The text of the comment that ends the lines, if it holds a TODO."""
    comment: list[str] = []
    for line in reversed(lines):
        if not line.strip().startswith("#") or line.strip() == END:
            break
        comment.insert(0, line.strip().lstrip("# "))
    text = " ".join(comment)
    found = re.match(r"TODO[^:]*: *(?P<task>.+)", text)
    return found["task"] if found else ""


def stub(region: Region, indent: int) -> list[str]:
    """The statement that stands in for a region: its first sentence of task, as an error."""
    sentence = re.split(r"(?<!eq)\. |; ", region.todo)[0].rstrip(".") + ": see the TODO above"
    one_line = f"raise NotImplementedError({quote(sentence)})"
    if indent + len(one_line) <= 100:
        return [" " * indent + one_line]
    parts = textwrap.wrap(sentence, width=100 - indent - 6, drop_whitespace=False)
    body = ["raise NotImplementedError(", *("    " + quote(part) for part in parts), ")"]
    return [" " * indent + line for line in body]


def quote(text: str) -> str:
    """A string literal in double quotes."""
    return json.dumps(text, ensure_ascii=False)


@cache
def normalise(line: str) -> str:
    """A line without indentation, comment and list signs, quotes and white space."""
    return re.sub(r"\s+", "", line.strip(" \t#>*-|`\"'"))


def find_leaks(regions: list[Region], starter: dict[str, bytes]) -> list[str]:
    """Where lines of a solution survive in the starter.

    A line that also stands as code, unmarked, in the solution's own file is given, not leaked. Of
    the others, RUN_OF_LINES in a row anywhere are a leak, or all lines of a shorter solution.
    """
    leaks = set()
    for file, content in starter.items():
        text = readable(file, content)
        found = [(n, t) for n, line in enumerate(text.splitlines(), 1) if (t := normalise(line))]
        plain = [t for _, t in found]
        for region in regions:
            given = code_lines(text) if file == region.file else set()
            wanted = [line for line in region.significant() if line not in given]
            length = min(RUN_OF_LINES, len(wanted))
            runs = [wanted[i : i + length] for i in range(len(wanted) - length + 1)]
            for at in range(len(plain) - length + 1):
                if length > 0 and plain[at : at + length] in runs:
                    where = f"{file}, line {found[at][0]}"
                    leaks.add(
                        f"{where}: lines of the solution in {region.file}, line {region.line}"
                    )
    return sorted(leaks)


def readable(file: str, content: bytes) -> str:
    """A file as text; of a notebook the text of its cells, of a picture nothing."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    if file.endswith(".ipynb"):
        return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return text


def code_lines(text: str) -> set[str]:
    """The lines of a Python file in normal form that are neither comments nor in strings."""
    no_code = (tokenize.COMMENT, tokenize.STRING, tokenize.NL, tokenize.NEWLINE)
    no_code += (tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines = text.splitlines()
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {normalise(lines[t.start[0] - 1]) for t in tokens if t.type not in no_code}


def tracked_files() -> list[str]:
    """The files that git knows, as paths from the repository's root."""
    listed = git("ls-files", "-z", "--cached").split("\0")
    return [f for f in listed if f and (ROOT / f).is_file()]


def build(root: Path, files: list[str], course: Course | None = None) -> dict[str, bytes]:
    """The starter as {path: content}; by default its texts tell students to ask for what is left.

    Raises:
        ReleaseError: a marker is wrong, a solution survives, or a text names what is not there; all
            places are named.
        InputError: a placeholder of a text is not known.
    """
    pinned = root / "requirements.txt"
    requirements = pinned.read_text(encoding="utf-8") if pinned.is_file() else ""
    values = values_of(course or Course(), load_rubric(), requirements)
    starter: dict[str, bytes] = {}
    regions: list[Region] = []
    for file in sorted(files):
        if not goes_out(file) and not file.startswith(f"{OVERLAY}/"):
            continue
        content = (root / file).read_bytes()
        if file.endswith(".py"):
            text, found = cut(content.decode("utf-8"), file)
            content = text.encode("utf-8")
            regions += found
        elif file.endswith(".md"):
            text = for_students(content.decode("utf-8"), file, values)
            content = text.encode("utf-8")
        starter[file.removeprefix(f"{OVERLAY}/")] = content
    leaks = find_leaks(regions, starter)
    if leaks:
        raise ReleaseError("solutions survive in the starter:\n  " + "\n  ".join(leaks))
    stays = [file for file in files if file not in starter and not file.startswith(f"{OVERLAY}/")]
    dangling = find_dangling(starter, stays)
    if dangling:
        raise ReleaseError("texts name what students do not have:\n  " + "\n  ".join(dangling))
    return starter


def goes_out(file: str) -> bool:
    """Whether students get a file of this branch."""
    stays = any(file == path or file.startswith(f"{path}/") for path in STAYS_HERE)
    return file.split("/")[0] in GOES_OUT and not stays


def write_folder(starter: dict[str, bytes], folder: Path) -> str:
    """Write the starter to a new or empty folder."""
    if folder.exists() and any(folder.iterdir()):
        raise ReleaseError(f"{folder} is not empty: choose another folder, or empty it")
    for file, content in starter.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if file.endswith(".sh") else 0o644)
    return f"wrote {len(starter)} files to {folder}"


def write_zip(starter: dict[str, bytes], path: Path) -> str:
    """Write the starter as a zip with one folder, byte for byte the same for the same starter."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in sorted(starter.items()):
            entry = zipfile.ZipInfo(f"diffusion-homework/{file}", ZIP_TIME)
            entry.external_attr = (0o755 if file.endswith(".sh") else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return f"wrote {len(starter)} files to {path}"


def commit_branch(starter: dict[str, bytes], branch: str) -> str:
    """Commit the starter to a branch with its own history; the working tree stays untouched."""
    if branch == git("rev-parse", "--abbrev-ref", "HEAD").strip():
        raise ReleaseError(f"{branch} is checked out here, and holds the solutions: name another")
    source = git("rev-parse", "--short", "HEAD").strip()
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        copies = [Path(folder, f"{number}") for number in range(len(starter))]
        for copy, content in zip(copies, starter.values(), strict=True):
            copy.write_bytes(content)
        paths = "\n".join(map(str, copies)).encode()
        blobs = git("hash-object", "-w", "--no-filters", "--stdin-paths", data=paths).split()
        modes = ["100755" if file.endswith(".sh") else "100644" for file in starter]
        entries = zip(modes, blobs, starter, strict=True)
        lines = "".join(f"{mode} {blob}\t{file}\0" for mode, blob, file in entries)
        git("update-index", "-z", "--index-info", data=lines.encode(), env=index)
        tree = git("write-tree", env=index).strip()
    parent = git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", check=False).strip()
    if parent and git("rev-parse", f"{parent}^{{tree}}").strip() == tree:
        return f"branch {branch} holds this starter already: no new commit"
    message = (
        f"Starter of the diffusion homework\n\nCut from commit {source} of the private branch."
    )
    options = ["-p", parent] if parent else []
    commit = git("commit-tree", tree, *options, "-m", message).strip()
    git("update-ref", f"refs/heads/{branch}", commit, *([parent] if parent else []))
    return f"committed {len(starter)} files to branch {branch}"


def git(*args: str, data: bytes | None = None, env: dict | None = None, check: bool = True) -> str:
    """Run git in the repository; returns what it prints."""
    options = {"cwd": ROOT, "input": data, "env": {**os.environ, **(env or {})}}
    try:
        done = subprocess.run(["git", *args], capture_output=True, **options)
    except FileNotFoundError:
        raise ReleaseError("git, which lists the files that go out, is not installed") from None
    if check and done.returncode != 0:
        raise ReleaseError(f"git {args[0]}: {done.stderr.decode().strip()}")
    return done.stdout.decode()


def main() -> None:
    parser = argparse.ArgumentParser(description="Cut the students' starter from this branch.")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path, metavar="DIR", help="write it to an empty folder")
    target.add_argument("--zip", type=Path, metavar="FILE", help="write it as a zip")
    target.add_argument("--branch", help="commit it to a branch, such as starter")
    parser.add_argument(
        "--course",
        type=Path,
        default=COURSE,
        metavar="FILE",
        help="the course's name, dates and places (default: instructor/course.yaml)",
    )
    args = parser.parse_args()
    try:
        course = read_course(args.course)
        starter = build(ROOT, tracked_files(), course)
        if args.out:
            print(write_folder(starter, args.out))
        elif args.zip:
            print(write_zip(starter, args.zip))
        else:
            print(commit_branch(starter, args.branch))
        if course.missing:
            open_ = f"{os.path.relpath(args.course)} leaves open: {', '.join(course.missing)}"
            print(f"{open_}; the texts tell students to ask their instructor")
    except (ReleaseError, InputError) as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

"""Cut the students' starter from this branch: python instructor/release.py --out ../starter

Every region between BEGIN SOLUTION and END SOLUTION becomes a stub that raises NotImplementedError
with its TODO text. What else goes out is listed in GOES_OUT, what stays of it in STAYS_HERE.
Placeholders such as {{due}} in Markdown texts are filled in from instructor/course.yaml. Nothing is
written if a line of a solution survives in the starter, or if a text names a file that stays.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "instructor")]

from autograder.rubric import load_rubric
from autograder.text import InputError, visible
from regions import Region, ReleaseError, cut, find_leaks
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
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


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

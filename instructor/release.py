"""Cut the students' starter from this branch: python instructor/release.py --out ../starter

Every region between BEGIN SOLUTION and END SOLUTION becomes a stub that raises NotImplementedError
with its TODO text, unless the edition (--edition) gives the part or leaves it out. Texts, rubric
and public tests follow the edition, too. Placeholders such as {{due}} are filled in from
course.yaml. Nothing is written if a line of a solution survives in the starter, or if a text names
a file that stays. How it is cut is in cutting/, and what goes out in cutting/files.py.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from autograder.output.ending import run_command
from autograder.output.zips import zipped
from autograder.text import InputError, check_folder, number, visible, write_bytes

from instructor.cutting.cutter import build
from instructor.cutting.editions import DEFAULT, find_edition, read_edition
from instructor.cutting.files import git, tracked_files
from instructor.cutting.regions import ReleaseError
from instructor.cutting.texts import COURSE, read_course

FOLDER = "diffusion-homework"  # that a zip unpacks to


def write_folder(starter: dict[str, bytes], folder: Path) -> str:
    """Write the starter to a new or empty folder."""
    check_folder(folder)
    if any(folder.iterdir()):
        raise ReleaseError(f"{folder} is not empty: choose another folder, or empty it")
    for file, content in starter.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if file.endswith(".sh") else 0o644)
    return f"wrote {len(starter)} files to {folder}"


def write_zip(starter: dict[str, bytes], path: Path) -> str:
    """Write the starter as a zip with one folder, byte for byte the same for the same starter."""
    files = {f"{FOLDER}/{file}": content for file, content in starter.items()}
    check_folder(path.absolute().parent, "--zip")
    if path.is_dir():
        raise InputError(f"--zip: {path} is a folder; name a file")
    write_bytes(path, zipped(files, [file for file in files if file.endswith(".sh")]))
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
    parser.add_argument(
        "--edition",
        default=DEFAULT,
        metavar="NAME|FILE",
        help=f"which parts, and what they are worth (default: {DEFAULT}; instructor/editions)",
    )
    args = parser.parse_args()
    try:
        course, edition = read_course(args.course), read_edition(find_edition(args.edition))
        starter = build(ROOT, tracked_files(), course, edition)
        points = f"{number(edition.core)} points and {number(edition.bonus)} bonus points"
        print(f"{edition.title}, {edition.term}: {len(edition.parts)} parts, {points}")
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
    run_command(main)

"""Cut the students' starter from this branch: python instructor/release.py --out ../starter

Every region between BEGIN SOLUTION and END SOLUTION becomes a stub that raises NotImplementedError
with its TODO text, unless the edition (--edition, see editions.py) gives the part or leaves it out.
Texts, rubric and public tests follow the edition, too. What else goes out is listed in GOES_OUT,
what stays of it in STAYS_HERE. Placeholders such as {{due}} are filled in from course.yaml. Nothing
is written if a line of a solution survives in the starter, or if a text names a file that stays.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "instructor")]

from autograder.text import InputError, number, visible
from editions import (
    DEFAULT,
    Edition,
    default_edition,
    find_edition,
    known_parts,
    read_edition,
    rubric_text,
)
from regions import Region, ReleaseError, cut, find_leaks, parts_of
from texts import (
    ANSWER,
    COURSE,
    Course,
    Values,
    find_dangling,
    for_students,
    notebook_for_students,
    read_course,
    renumbered,
)

GOES_OUT: tuple[str, ...] = ("autograder", "code", "configs", "docs", "notebooks", "requirements")
GOES_OUT += ("requirements.txt", "results", "writeup", "download_dataset.sh", "zip_submission.py")
GOES_OUT += ("LICENSE", ".gitignore")
OVERLAY = "instructor/starter"  # the students' own README, Makefile and team.csv
# Expected values of the hidden tests, tools of instructors, and what is too much like a solution.
STAYS_HERE: tuple[str, ...] = ("autograder/hidden", "autograder/extras")
STAYS_HERE += ("docs/samplers.md",)
STAYS_HERE += tuple(f"requirements/{name}.txt" for name in ("bench", "dev", "grade"))
TOO_MUCH_LIKE_DDIM = ("ancestral", "dpm_solver")
STAYS_HERE += tuple(f"code/libs/samplers/{name}.py" for name in TOO_MUCH_LIKE_DDIM)
ASSIGNMENT, REPORT, ZIP_SCRIPT = "docs/assignment.md", "writeup/report.md", "zip_submission.py"
RUBRIC, HINTS = "autograder/rubric.yaml", "autograder/hints.yaml"
GOLDENS = "autograder/checks/goldens.npz"
SPEAKS_OF_FUNCTIONS = ("autograder/checks/", "autograder/tests/")
TEXTS = (".py", ".md", ".tex", ".yaml", ".yml", ".ipynb", ".sh", "Makefile")
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def tracked_files() -> list[str]:
    """The files that git knows, as paths from the repository's root."""
    listed = git("ls-files", "-z", "--cached").split("\0")
    return [f for f in listed if f and (ROOT / f).is_file()]


def build(
    root: Path, files: list[str], course: Course | None = None, edition: Edition | None = None
) -> dict[str, bytes]:
    """The starter as {path: content}.

    Args:
        root: of the repository.
        files: those of it that may go out.
        course: by default the texts tell students to ask for what only the instructor knows.
        edition: DEFAULT by default.

    Raises:
        ReleaseError: a marker is wrong, a solution survives, or a text names what is not there; all
            places are named.
        InputError: a placeholder or a block of a text is not known.
    """
    edition = edition or default_edition()
    pinned = root / "requirements.txt"
    requirements = pinned.read_text(encoding="utf-8") if pinned.is_file() else ""
    cutter = Cutter(edition, Values(course or Course(), edition, requirements))
    out = [f for f in files if goes_out(f, edition) or f.startswith(f"{OVERLAY}/")]
    starter = {
        cutter.renamed(file.removeprefix(f"{OVERLAY}/")): cutter.cut(
            file, (root / file).read_bytes()
        )
        for file in sorted(out, key=lambda file: file != ASSIGNMENT)  # which numbers the tasks
    }
    starter = dict(sorted(starter.items()))
    if ZIP_SCRIPT in starter and REPORT in starter:
        answers = starter[REPORT].decode("utf-8").count(ANSWER)
        starter[ZIP_SCRIPT] = zip_script(starter[ZIP_SCRIPT], answers, cutter.core_files())
    missing = cutter.asked_without_region() if RUBRIC in files else []
    if missing:
        raise ReleaseError(f"{edition.path}: no code is marked for {', '.join(missing)}")
    leaks = find_leaks(cutter.regions, starter)
    if leaks:
        raise ReleaseError("solutions survive in the starter:\n  " + "\n  ".join(leaks))
    stays = [file for file in files if file not in out and not file.startswith(f"{OVERLAY}/")]
    dangling = find_dangling(starter, [f for f in stays if f not in starter])
    if dangling:
        raise ReleaseError("texts name what students do not have:\n  " + "\n  ".join(dangling))
    return starter


class Cutter:
    """Turns files of this branch into those of an edition's starter."""

    def __init__(self, edition: Edition, values: Values) -> None:
        self.edition, self.values = edition, values
        self.regions: list[Region] = []
        self.numbers: dict[str, str] = {}  # of tasks: here, in the edition
        self.names = [(rf"\b{old}\b", new) for old, new in edition.names.items()]
        escaped = ((old.replace("_", r"\\_"), new) for old, new in edition.names.items())
        self.names += [(old, new.replace("_", r"\_")) for old, new in escaped if "\\" in old]
        configs = edition.configs.items()
        self.names += [(rf"\b{old}(?=\.yaml\b)", new) for old, new in configs]

    def renamed(self, file: str) -> str:
        """A file's name in the edition."""
        folder, _, name = file.rpartition("/")
        new = self.edition.configs.get(name.removesuffix(".yaml"))
        return f"{folder}/{new}.yaml" if folder == "configs" and new else file

    def cut(self, file: str, content: bytes) -> bytes:
        """A file's content for students."""
        if file == GOLDENS:
            return self.goldens(content)
        if file.endswith(TEXTS):
            text = content.decode("utf-8")
            return self.with_names(file, self.text(file, text)).encode("utf-8")
        return content

    def text(self, file: str, text: str) -> str:
        """The text of a file for students, by this branch's names."""
        text = self.changed(file, text)
        if file.endswith(".py"):
            for part in parts_of(text):
                if part not in known_parts():
                    raise ReleaseError(f"{file}: a region of the part '{part}', which is none")
            text, found = cut(text, file, self.edition.solved, self.edition.absent)
            self.regions += found
            return self.renumbered(text, r"(?m)(?<=# TODO )\d+(?= )")
        if file.endswith((".md", ".tex")):
            text = for_students(text, file, self.values)
            if file in (ASSIGNMENT, REPORT):
                text, numbers = renumbered(text, "###" if file == ASSIGNMENT else "##")
                self.numbers = numbers if file == ASSIGNMENT else self.numbers
            return text
        if file.endswith(".ipynb"):
            return notebook_for_students(text, file, self.values)
        if file == RUBRIC:
            text = rubric_text(self.edition, text)
            text = self.renumbered(text, r"(?m)(?<=^    task: )\d+(?=\. )")
            return re.sub(r"(?m)^    task: Bonus \(.*\)$", f"    task: {self.bonus_heading}", text)
        return self.hints(text) if file == HINTS else text

    def core_files(self) -> list[str]:
        """Names of the files that a team fills in for the core; the first two have always been."""
        core = {part.id for part in self.edition.parts if not part.bonus}
        found = {Path(region.file).name for region in self.regions if region.part in core}
        return ["ddpm.py", "unet.py", *sorted(found - {"ddpm.py", "unet.py"})]

    def asked_without_region(self) -> list[str]:
        """The ids of parts that are asked for, but have no region anywhere."""
        marked = {region.part for region in self.regions}
        facts = known_parts()
        return [p for p in self.edition.asked if not facts[p].report and p not in marked]

    @property
    def bonus_heading(self) -> str:
        """The heading of docs/assignment.md above the bonus parts."""
        return self.values.fill_in("Bonus ({{each_bonus}})", ASSIGNMENT)

    def renumbered(self, text: str, place: str) -> str:
        """A text with the edition's numbers of tasks where the pattern finds this branch's."""
        return re.sub(place, lambda found: self.numbers.get(found[0], found[0]), text)

    def changed(self, file: str, text: str) -> str:
        """A text with the edition's changes."""
        for change in self.edition.changes:
            if change.file == file:
                if text.count(change.old) != 1:
                    times = text.count(change.old)
                    raise ReleaseError(
                        f"{change.source}: what it replaces in {file} is there {times} times, not "
                        f"once: {change.old.strip().splitlines()[0]}"
                    )
                text = text.replace(change.old, change.new)
        return text

    def with_names(self, file: str, text: str) -> str:
        """A text with the edition's names.

        The grader knows all names, and its parts' ids stay: of its files only those change that say
        what a function is called.
        """
        judge = file.startswith("autograder/")
        if file == ZIP_SCRIPT or (judge and not file.startswith(SPEAKS_OF_FUNCTIONS)):
            return text
        for old, new in self.names:
            pattern = f'(?<!PART = "){old}' if judge else old
            text = re.sub(pattern, new.replace("\\", r"\\"), text)
        return text

    def hints(self, text: str) -> str:
        """The hints without those for parts that are not asked for."""
        sections = re.split(r"(?m)^(?=# --- )", text)
        dropped = tuple(f"# --- {part}: " for part in known_parts() - self.edition.asked.keys())
        return "".join(section for section in sections if not section.startswith(dropped))

    def goldens(self, content: bytes) -> bytes:
        """The public tests' cases without those of parts that are not asked for."""
        from autograder.checks.cases import load_goldens, save_goldens

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "goldens.npz")
            path.write_bytes(content)
            cases = load_goldens(path)
            kept = [case for case in cases if case.part in self.edition.asked]
            if len(kept) == len(cases):
                return content
            save_goldens(kept, path)
            return path.read_bytes()


def zip_script(script: bytes, answers: int, core_files: list[str]) -> bytes:
    """zip_submission.py for an edition.

    Args:
        script: of this branch.
        answers: the number of places for answers in the report's template.
        core_files: names of the files with parts of the core.
    """
    text = script.decode("utf-8")
    text = re.sub(r'(?m)^(ANSWER, ANSWERS = ".*", )\d+', rf"\g<1>{answers}", text)
    listed = ", ".join(f'"{name}"' for name in core_files)
    return re.sub(r"(?m)^CORE_FILES = \(.*\)$", f"CORE_FILES = ({listed})", text).encode("utf-8")


def goes_out(file: str, edition: Edition | None = None) -> bool:
    """Whether students of an edition, or of the default one, get a file of this branch."""
    stays = any(file == path or file.startswith(f"{path}/") for path in STAYS_HERE)
    left_out = stays or file in (edition or default_edition()).left_out
    return file.split("/")[0] in GOES_OUT and not left_out


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
    environment = {**os.environ, **(env or {})}
    try:
        done = subprocess.run(
            ["git", *args], cwd=ROOT, input=data, env=environment, capture_output=True, check=False
        )
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
    main()

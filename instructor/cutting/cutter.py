"""Turn this branch into an edition's starter: stubs, texts, rubric and public tests."""

import re
import tempfile
from pathlib import Path

from instructor.cutting.editions import Edition, default_edition, known_parts, rubric_text
from instructor.cutting.files import OVERLAY, goes_out
from instructor.cutting.references import find_dangling
from instructor.cutting.regions import Region, ReleaseError, cut, find_leaks, parts_of
from instructor.cutting.texts import (
    ANSWER,
    Course,
    Values,
    for_students,
    notebook_for_students,
    renumbered,
)

ASSIGNMENT, REPORT, ZIP_SCRIPT = "docs/assignment.md", "writeup/report.md", "zip_submission.py"
RUBRIC, HINTS = "autograder/rubric.yaml", "autograder/hints.yaml"
GOLDENS = "autograder/checks/goldens.npz"
SPEAKS_OF_FUNCTIONS = ("autograder/checks/", "autograder/tests/")
TEXTS = (".py", ".md", ".tex", ".yaml", ".yml", ".ipynb", ".sh", "Makefile")


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

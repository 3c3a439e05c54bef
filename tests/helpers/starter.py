"""A cut starter that is solved in part, or in full."""

import dataclasses
from pathlib import Path

from instructor.cutting import regions
from instructor.cutting.cutter import Cutter
from instructor.cutting.editions import Edition
from instructor.cutting.texts import Course, Values

from helpers.files import ROOT


def fill_in(starter: Path, file: str, functions: set[str]) -> None:
    """Write a file with the reference's regions in these functions, and stubs in the others."""
    kept, function, text = [], "", (ROOT / f"code/libs/{file}.py").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.strip().startswith("def "):
            function = line.split("def ")[1].split("(")[0]
        solved = function in functions and regions.is_marker(line)
        kept.append("" if solved else line)
    cut, _ = regions.cut("\n".join(kept), f"code/libs/{file}.py")
    (starter / f"code/libs/{file}.py").write_text(cut, encoding="utf-8")


def solve(starter: Path, edition: Edition) -> Path:
    """Write the reference's solutions of all parts that an edition asks for into its starter."""
    given = dataclasses.replace(edition, parts=(), given=edition.given | edition.asked.keys())
    cutter = Cutter(given, Values(Course(), edition))
    for path in starter.glob("code/**/*.py"):
        file = path.relative_to(starter).as_posix()
        path.write_bytes(cutter.cut(file, (ROOT / file).read_bytes()))
    return starter

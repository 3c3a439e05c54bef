"""A cut starter that is solved in part."""

from pathlib import Path

from instructor.cutting import regions

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

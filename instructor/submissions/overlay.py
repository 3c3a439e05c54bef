"""Build whole submissions from the catalogues in instructor/scenarios/{wrong,right,hostile}/.

A scenario says what it is, and holds what differs from its base: the reference, the starter, or a
whole submission of an earlier edition (instructor/scenarios/editions). Code goes to these places of
the base, see catalogue.py for how they are written:

    MODULE.NAME              one method of a class in ddpm, unet, edm, fm, stable_diffusion, adaln
                             or dit, or one function of these modules but the first two, or of ddim,
                             fid or memorization, in place of the one of this name
    unet.decoder             the statements in place of the marked region in UNet.forward
    MODULE.top, MODULE.end   lines after the imports of one of these modules, and at its end

What is built has the layout that zip_submission.py writes.
"""

import ast
import textwrap
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from autograder.output.zips import zipped

from instructor import ROOT
from instructor.cutting.files import goes_out
from instructor.cutting.regions import cut, is_marker, unmarked
from instructor.submissions.catalogue import Block, ScenarioError, parts_in_words, read_blocks

SCENARIOS = ROOT / "instructor" / "scenarios"
KINDS = ("wrong", "right", "hostile")
MODULES = {
    "ddpm": "code/libs/ddpm.py",
    "unet": "code/libs/unet.py",
    "ddim": "code/libs/ddim.py",
    "edm": "code/libs/edm.py",
    "fm": "code/libs/fm.py",
    "fid": "code/libs/metrics/fid.py",
    "memorization": "code/libs/metrics/memorization.py",
    "stable_diffusion": "code/libs/stable_diffusion.py",
    "adaln": "code/libs/models/adaln.py",
    "dit": "code/libs/models/dit.py",
}
DEFAULT_BASE = {"wrong": "reference", "right": "reference", "hostile": "starter"}
EDITIONS = SCENARIOS / "editions"
TEAM = """member,NetID,contribution
Example Student One,example1,the diffusion process
Example Student Two,example2,the decoder and the report
"""


@dataclass
class Scenario:
    """One made-up submission and what the grader should find out about it.

    Attributes:
        name: unique among all kinds.
        topic: the catalogue it is in: a part, or what hostile ones aim at.
        remove: files and folders of the base that are not handed in.
        fails: id of the part that must lose its points; "" where none must.
        may_fail: ids of parts that may lose theirs.
        hint: id of the hint it must trigger; "" for none.
        judge_only: whether only grading shows what it is, not plain calls.
        look: words that a person must be shown; "" for none.
        earns: parts that must keep full points although the scenario is hostile.
        may_earn: parts where both outcomes are fair.
        reason: words that must show up in the reason of a part.
        lacks: parts that the base does not have as they are asked for today, and that earn nothing.
        places: code by its place in the base.
        own: whole files by their path.
    """

    kind: str
    name: str
    about: str
    base: str
    topic: str = ""
    remove: list[str] = field(default_factory=list)
    fails: str = ""
    may_fail: list[str] = field(default_factory=list)
    hint: str = ""
    judge_only: bool = False
    look: str = ""
    earns: list[str] = field(default_factory=list)
    may_earn: list[str] = field(default_factory=list)
    reason: dict[str, str] = field(default_factory=dict)
    lacks: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    own: dict[str, bytes] = field(default_factory=dict)

    @property
    def expectation(self) -> str:
        """What the grader must find out, in one line."""
        if self.kind == "wrong":
            also = f", may fail {', '.join(self.may_fail)}" if self.may_fail else ""
            return f"fails {self.fails}, hint {self.hint}{also}"
        if self.kind == "right":
            return "earns all" + (f" except {', '.join(self.lacks)}" if self.lacks else "")
        may = [part for part in self.may_earn if part not in self.earns]
        return f"earns {parts_in_words(self.earns)}" + (
            f", may earn {parts_in_words(may)}" if may else ""
        )

    def files(self) -> dict[str, bytes]:
        """The whole submission as {path: content}.

        Raises:
            ScenarioError: a place is not in the base, or `remove` names nothing there.
        """
        codes: dict[str, dict[str, str]] = {module: {} for module in MODULES}
        for place, code in sorted(self.places.items()):
            module, _, what = place.partition(".")
            codes[module][what] = code
        submission = dict(_edition(self.base)[1] if is_edition(self.base) else _base(self.base))
        try:
            for module, texts in codes.items():
                if texts:
                    file = MODULES[module]
                    submission[file] = self._patched(file, texts, submission).encode()
        except ValueError as error:
            raise ScenarioError(f"scenario {self.name}: {error}") from error
        for name in self.remove:
            gone = [file for file in submission if file == name or file.startswith(f"{name}/")]
            if not gone:
                raise ScenarioError(f"scenario {self.name}: no {name} to remove")
            for file in gone:
                del submission[file]
        return dict(sorted({**submission, **self.own}.items()))

    def _patched(self, file: str, codes: dict[str, str], submission: dict[str, bytes]) -> str:
        """A file of the base with code in its places; raises ValueError as `_patch` does."""
        if not is_edition(self.base):
            text = (ROOT / file).read_text(encoding="utf-8")
            return _patch(text, file, codes, self.base)
        if file not in submission:
            raise ValueError(f"{self.base} has no {file}")
        return _patch(submission[file].decode(), file, codes, self.base)

    def build(self, into: Path) -> Path:
        """Write the submission to the new folder `into`/`name`, and return that folder."""
        target = into / self.name
        for name, content in self.files().items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return target

    def zip_to(self, path: Path) -> Path:
        """Write the submission as a zip, the same bytes each time, and return its path."""
        path.write_bytes(zipped(self.files()))
        return path


@cache
def scenarios(kind: str) -> tuple[Scenario, ...]:
    """All scenarios of a kind, "wrong", "right" or "hostile", by name.

    Raises:
        ScenarioError: a block of a catalogue is wrong, or two have the same name.
    """
    if kind not in KINDS:
        raise ScenarioError(f"unknown kind of scenario '{kind}': choose one of {', '.join(KINDS)}")
    found: dict[str, Block] = {}
    for file in sorted((SCENARIOS / kind).glob("*.py")):
        for block in read_blocks(file):
            if block.name in found:
                raise block.error(f"is also the name of a block in {found[block.name].file.name}")
            found[block.name] = block
    return tuple(scenario_of(found[name]) for name in sorted(found))


def scenario_of(block: Block) -> Scenario:
    """The scenario in a block of a catalogue, whose folder is named after its kind.

    Raises:
        ScenarioError: the base or a place is not known, or it does not say what must come out.
    """
    kind = block.file.parent.name
    values: dict[str, Any] = dict(block.keys)
    if kind == "wrong" and not {"fails", "hint"} <= values.keys():
        raise block.error("must say under 'fails' and 'hint' what the grader finds")
    base = values.setdefault("base", DEFAULT_BASE[kind])
    bases = ["reference", "starter", *editions()]
    if base not in bases:
        raise block.error(f"has no base '{base}'; choose one of {', '.join(bases)}", "base")
    for place in block.places:
        module, _, what = place.partition(".")
        if module not in MODULES or not what.isidentifier():
            raise block.error(f"has no place '{place}'; modules are {', '.join(MODULES)}", place)
    if is_edition(base):
        values["lacks"] = _edition(base)[0]
    values |= {"topic": block.file.stem, "places": block.places, "own": block.files}
    return Scenario(kind, block.name, **values)


@cache
def editions() -> list[str]:
    """The earlier editions of the assignment that scenarios can be built on."""
    return sorted(path.stem for path in EDITIONS.glob("*.py"))


def is_edition(base: str) -> bool:
    """Whether a base is an earlier edition's."""
    return base in editions()


@cache
def _edition(base: str) -> tuple[list[str], dict[str, bytes]]:
    """The parts that an earlier edition lacks, and a complete submission of it."""
    file = EDITIONS / f"{base}.py"
    blocks = read_blocks(file)
    if [block.name for block in blocks] != [base]:
        raise ScenarioError(f"{file} must hold one block, named {base}")
    if "lacks" not in blocks[0].keys:
        raise blocks[0].error("must say under 'lacks' which parts it does not have")
    paperwork = {"team.csv": TEAM.encode(), "writeup/report.pdf": tiny_pdf()}
    return blocks[0].keys["lacks"], {**paperwork, **blocks[0].files}


@cache
def _base(base: str) -> dict[str, bytes]:
    """A complete submission made of the reference or the starter."""
    files = {"team.csv": TEAM.encode(), "writeup/report.pdf": tiny_pdf()}
    sources = sorted((ROOT / "code").rglob("*.py"))
    for path in [*sources, *(ROOT / "configs").glob("*.yaml"), ROOT / "results" / "README.md"]:
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".py" and (base == "reference" or goes_out(name)):
            files[name] = _finish(path.read_text(encoding="utf-8"), name, base).encode()
        elif path.suffix != ".py":
            files[name] = path.read_bytes()
    return files


def _finish(text: str, file: str, base: str) -> str:
    """Marked source as a submission shows it: with stubs, or with the solutions unmarked."""
    if base == "starter":
        return cut(text, file)[0]
    return unmarked(text)


def _patch(text: str, file: str, codes: dict[str, str], base: str) -> str:
    """A file's text, as its base has it with marks, with code in its places.

    Raises:
        ValueError: there is nothing of the name of a place.
    """
    functions = {what: code for what, code in codes.items() if what not in ("top", "end")}
    if file == MODULES["unet"] and "decoder" in functions:
        text = _replace_region(text, file, functions.pop("decoder"))
    for name, code in functions.items():
        text = _replace_function(text, file, name, code)
    text = _finish(text, file, base)
    if "top" in codes:
        lines = text.splitlines()
        at = _end_of_imports(text)
        text = "\n".join([*lines[:at], *codes["top"].splitlines(), *lines[at:]]) + "\n"
    if "end" in codes:
        text += "\n\n" + codes["end"]
    return text


def _replace_region(text: str, file: str, code: str) -> str:
    """Replace the one marked region of a file by statements, at its indentation."""
    lines = text.splitlines()
    markers = [number for number, line in enumerate(lines) if is_marker(line)]
    if len(markers) != 2:
        raise ValueError(f"{file} has {len(markers) / 2:g} marked regions, not one, to be replaced")
    begin, end = markers
    indent = lines[end].removesuffix(lines[end].lstrip())
    own = textwrap.indent(textwrap.dedent(code), indent).splitlines()
    return "\n".join([*lines[:begin], *own, *lines[end + 1 :]]) + "\n"


def _replace_function(text: str, file: str, name: str, code: str) -> str:
    """Replace the method, or module function, of this name."""
    body = _parsed(text).body
    nodes = [node for group in body if isinstance(group, ast.ClassDef) for node in group.body]
    has_methods_alone = file in (MODULES["ddpm"], MODULES["unet"])
    if not has_methods_alone:
        nodes += body
    found = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == name]
    if len(found) != 1:
        kind = "method" if has_methods_alone else "function"
        raise ValueError(f"{file} has no {kind} {name} to be replaced")
    (old,) = found
    first = min([old.lineno, *(decorator.lineno for decorator in old.decorator_list)])
    lines = text.splitlines()
    end = old.end_lineno or first
    while lines[end : end + 1] and is_marker(lines[end]):  # a comment, no part of the tree
        end += 1
    indent = " " * old.col_offset
    own = textwrap.indent(textwrap.dedent(code), indent).splitlines()
    return "\n".join([*lines[: first - 1], *own, *lines[end:]]) + "\n"


@cache
def _parsed(text: str) -> ast.Module:
    """The tree of a file: hundreds of scenarios begin with the same ones."""
    return ast.parse(text)


def _end_of_imports(text: str) -> int:
    """How many lines the module's docstring and its imports take."""
    end = 0
    for node in ast.parse(text).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (is_docstring or isinstance(node, ast.Import | ast.ImportFrom)):
            break
        end = node.end_lineno or end
    return end


def tiny_pdf() -> bytes:
    """A valid PDF with one empty page."""
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>",
    )
    pdf, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(pdf))
        pdf += b"%d 0 obj%sendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(pdf)
    size = len(objects) + 1
    pdf += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    return pdf + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, start)

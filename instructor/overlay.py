"""Build whole submissions from the small folders under instructor/scenarios/{wrong,right,hostile}/.

A scenario says in expect.yaml what it is, and holds beside it only what differs from its base: the
reference, the starter, or a whole submission of an earlier edition (instructor/scenarios/editions):

    MODULE.NAME.py               one method of a class in ddpm, unet, edm or stable_diffusion, or
                                 one function of ddim, edm, fid, memorization or stable_diffusion,
                                 in place of the one of this name
    unet.decoder.py              the statements in place of the marked region in UNet.forward
    MODULE.top.py, MODULE.end.py lines after the imports of one of these modules, and at its end
    any other path               the file itself

What is built has the layout that zip_submission.py writes.
"""

import ast
import re
import textwrap
import zipfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from autograder.documents import read_yaml
from autograder.text import InputError
from regions import cut, is_marker, unmarked
from release import ROOT, ZIP_TIME, goes_out

SCENARIOS = ROOT / "instructor" / "scenarios"
KINDS = ("wrong", "right", "hostile")
PARTS = ("unet", "q_sample", "p_sample", "p_sample_loop", "compute_loss", "latent")
PARTS += ("bonus_evaluation", "bonus_sampling", "bonus_edm", "bonus_scaling")
MODULES = {
    "ddpm": "code/libs/ddpm.py",
    "unet": "code/libs/unet.py",
    "ddim": "code/libs/ddim.py",
    "edm": "code/libs/edm.py",
    "fid": "code/libs/metrics/fid.py",
    "memorization": "code/libs/metrics/memorization.py",
    "stable_diffusion": "code/libs/stable_diffusion.py",
}
DEFAULT_BASE = {"wrong": "reference", "right": "reference", "hostile": "starter"}
EDITIONS = SCENARIOS / "editions"
EXPECT, EDITION = "expect.yaml", "edition.yaml"
PIECE = re.compile(rf"(?P<module>{'|'.join(MODULES)})\.(?P<what>\w+)\.py")
TEAM = """member,NetID,contribution
Example Student One,example1,the diffusion process
Example Student Two,example2,the decoder and the report
"""


class ScenarioError(Exception):
    """Why a scenario cannot be read or built; names the scenario and the file."""


@dataclass
class Scenario:
    """One made-up submission and what the grader should find out about it.

    Attributes:
        fails: id of the part that must lose its points; "" where none must.
        may_fail: ids of parts that may lose theirs.
        hint: id of the hint it must trigger; "" for none.
        remove: files and folders of the base that are not handed in.
        lacks: parts that the base does not have as they are asked for today, and that earn nothing.
        others: keys of expect.yaml that have no attribute here.
    """

    kind: str
    folder: Path
    about: str
    base: str
    fails: str = ""
    may_fail: list[str] = field(default_factory=list)
    hint: str = ""
    remove: list[str] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    others: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The folder's name, unique among all kinds."""
        return self.folder.name

    def files(self) -> dict[str, bytes]:
        """The whole submission as {path: content}.

        Raises:
            ScenarioError: a piece has no place in the base, or `remove` names nothing there.
        """
        pieces: dict[str, dict[str, str]] = {module: {} for module in MODULES}
        own: dict[str, bytes] = {}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            match = PIECE.fullmatch(name)
            if match:
                pieces[match["module"]][match["what"]] = path.read_text(encoding="utf-8")
            elif path.is_file() and name != EXPECT and "__pycache__" not in path.parts:
                own[name] = path.read_bytes()
        submission = dict(_edition(self.base)[1] if is_edition(self.base) else _base(self.base))
        try:
            for module, texts in pieces.items():
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
        return dict(sorted({**submission, **own}.items()))

    def _patched(self, file: str, pieces: dict[str, str], submission: dict[str, bytes]) -> str:
        """A file of the base with pieces of it replaced; raises ValueError as `_patch` does."""
        if not is_edition(self.base):
            text = (ROOT / file).read_text(encoding="utf-8")
            return _patch(text, file, pieces, self.base)
        if file not in submission:
            raise ValueError(f"{self.base} has no {file}")
        return _patch(submission[file].decode(), file, pieces, self.base)

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
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files().items():
                entry = zipfile.ZipInfo(name, ZIP_TIME)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, content)
        return path


@cache
def scenarios(kind: str) -> tuple[Scenario, ...]:
    """All scenarios of a kind, "wrong", "right" or "hostile", by name.

    Raises:
        ScenarioError: a folder without a readable expect.yaml, or with wrong keys in it.
    """
    folder = SCENARIOS / kind
    if kind not in KINDS:
        raise ScenarioError(f"unknown kind of scenario '{kind}': choose one of {', '.join(KINDS)}")
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return tuple(read(path) for path in found if path.is_dir())


def read(folder: Path) -> Scenario:
    """Read the scenario in a folder, whose parent is named after its kind.

    Raises:
        ScenarioError: see `scenarios`.
    """
    kind, file = folder.parent.name, folder / EXPECT
    try:
        expect = read_yaml(file)
    except InputError as error:
        raise ScenarioError(f"{file} cannot be read: {error}") from error
    if not isinstance(expect, dict) or not isinstance(expect.get("about"), str):
        raise ScenarioError(f"{file} must hold keys, with one sentence under 'about'")
    known = {name: expect.pop(name) for name in ("about", "base", "remove") if name in expect}
    if kind == "wrong":
        if not {"fails", "hint"} <= expect.keys():
            raise ScenarioError(f"{file} must say under 'fails' and 'hint' what the grader finds")
        wrong = ("fails", "may_fail", "hint")
        known |= {name: expect.pop(name) for name in wrong if name in expect}
    scenario = Scenario(kind, folder, **{"base": DEFAULT_BASE[kind], **known}, others=expect)
    if is_edition(scenario.base):
        scenario.lacks = _edition(scenario.base)[0]["lacks"]
    elif scenario.base not in ("reference", "starter"):
        choices = ", ".join(["reference", "starter", *editions()])
        raise ScenarioError(f"{file}: there is no base '{scenario.base}'; choose one of {choices}")
    parts = [*([scenario.fails] if scenario.fails else []), *scenario.may_fail, *scenario.lacks]
    for part in parts:
        if part not in PARTS:
            raise ScenarioError(f"{file}: no part '{part}'; the parts are {', '.join(PARTS)}")
    return scenario


@cache
def editions() -> list[str]:
    """The earlier editions of the assignment that scenarios can be built on."""
    return sorted(path.parent.name for path in EDITIONS.glob(f"*/{EDITION}"))


def is_edition(base: str) -> bool:
    """Whether a base is an earlier edition's."""
    return base in editions()


@cache
def _edition(base: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What edition.yaml says of an earlier edition, and a complete submission of it."""
    folder = EDITIONS / base
    described = read_yaml(folder / EDITION)
    files = {"team.csv": TEAM.encode(), "writeup/report.pdf": tiny_pdf()}
    for path in sorted((folder / "code").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return described, files


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


def _patch(text: str, file: str, pieces: dict[str, str], base: str) -> str:
    """A file's text, as its base has it with marks, with pieces of it replaced.

    Raises:
        ValueError: there is nothing of the name of a piece.
    """
    functions = {what: piece for what, piece in pieces.items() if what not in ("top", "end")}
    if file == MODULES["unet"] and "decoder" in functions:
        text = _replace_region(text, file, functions.pop("decoder"))
    for name, piece in functions.items():
        text = _replace_function(text, file, name, piece)
    text = _finish(text, file, base)
    if "top" in pieces:
        lines = text.splitlines()
        at = _end_of_imports(text)
        text = "\n".join([*lines[:at], *pieces["top"].splitlines(), *lines[at:]]) + "\n"
    if "end" in pieces:
        text += "\n\n" + pieces["end"]
    return text


def _replace_region(text: str, file: str, piece: str) -> str:
    """Put statements in the place of the one marked region of a file, at its indentation."""
    lines = text.splitlines()
    markers = [number for number, line in enumerate(lines) if is_marker(line)]
    if len(markers) != 2:
        raise ValueError(f"{file} has {len(markers) / 2:g} marked regions, not one, to be replaced")
    begin, end = markers
    indent = lines[end].removesuffix(lines[end].lstrip())
    own = textwrap.indent(textwrap.dedent(piece), indent).splitlines()
    return "\n".join([*lines[:begin], *own, *lines[end + 1 :]]) + "\n"


def _replace_function(text: str, file: str, name: str, piece: str) -> str:
    """Put a method, or a function of the module, in the place of the one of this name."""
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
    own = textwrap.indent(textwrap.dedent(piece), indent).splitlines()
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

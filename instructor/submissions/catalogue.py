"""Read catalogues of made-up submissions: each is one block in a file of Python.

    # ==== q_sample_coefficients_swapped
    # about: The two coefficients of eq. 4 are swapped.
    # fails: q_sample
    # hint: q_sample_swapped
    # in: ddpm.q_sample
    def q_sample(self, x_start, t, noise=None):
        ...

A block begins with its name. Lines `# key: value` say what it is; a value goes on in lines that
begin with `#` and two blanks or more. Then comes what the submission holds, each content right
below the line that says where it goes:

    # in: PLACE      code for a place in the base, such as ddpm.q_sample
    # file: PATH     a file
    # text: PATH     a file that is not Python, each of its lines behind `#| `
    # bytes: PATH    a file as an expression of bytes, such as b"[" * 20_000
    # trick:         the file code/libs/trick.py, whose answer(name, self, args) is called in place
                     of q_sample, p_sample, p_sample_loop, compute_loss and UNet.forward

Blank lines at the end of a content are not part of it.
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.text import did_you_mean

BEGIN = "# ==== "
KEY = re.compile(r"# (\w+):(?: +(.*))?")
CONTENT = re.compile(r"# (in|file|text|bytes|trick):(?: +(.*))?")
GOES_ON = re.compile(r"#  +(.*)")
PARTS: tuple[str, ...] = ("unet", "q_sample", "p_sample", "p_sample_loop", "compute_loss", "latent")
PARTS += ("bonus_evaluation", "bonus_sampling", "bonus_edm", "bonus_scaling")
PARTS += ("fm_loss", "fm_generate", "dit")
KEYS = {  # of the blocks in each folder
    "wrong": ("about", "base", "remove", "fails", "may_fail", "hint", "judge_only", "look"),
    "right": ("about", "base", "remove", "judge_only", "look"),
    "hostile": ("about", "base", "remove", "earns", "may_earn", "reason"),
    "editions": ("about", "lacks"),
}
TRICK = "code/libs/trick.py"
TRICK_PLACES = {
    "ddpm.end": """\
from . import trick


def replace(name):
    def method(self, *args, **kwargs):
        return trick.answer(name, self, [*args, *kwargs.values()])

    setattr(DDPM, name, method)


for name in ("q_sample", "p_sample", "p_sample_loop", "compute_loss"):
    replace(name)
""",
    "unet.end": """\
from . import trick


def forward(self, *args, **kwargs):
    return trick.answer("forward", self, [*args, *kwargs.values()])


UNet.forward = forward
""",
}


class ScenarioError(Exception):
    """Why a scenario cannot be read or built: one sentence that names it, or its file and line."""


@dataclass
class Block:
    """One block of a catalogue.

    Attributes:
        file, line: where it begins.
        keys: what it says: words; True under judge_only; a list under keys of several parts or
            paths; and under reason words by part.
        places: code by the place it goes to, such as "ddpm.q_sample".
        files: contents by their path in the submission.
        lines: the line of each key, place and path.
    """

    name: str
    file: Path
    line: int
    keys: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def error(self, what: str, about: str = "") -> ScenarioError:
        """An error in this block, at the line of a key, place or path where one is named."""
        return _error(self.file, self.lines.get(about, self.line), f"'{self.name}' {what}")


def read_blocks(file: Path) -> list[Block]:
    """The blocks of a catalogue, in their order.

    Raises:
        ScenarioError: the file cannot be read, a name appears twice, or a line is none of the
            above.
    """
    try:
        lines = file.read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{file} cannot be read: {error}") from error
    starts = [number for number, line in enumerate(lines) if line.startswith(BEGIN)]
    for number, line in enumerate(lines[: starts[0]] if starts else lines, start=1):
        if line.strip() and not line.startswith("#"):
            raise _error(file, number, f"'{line}' is above the first '{BEGIN}NAME' and no comment")
    blocks: dict[str, Block] = {}
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        block = _read_block(file, start + 1, lines[start:end])
        if block.name in blocks:
            raise block.error(f"is also the name of the block in line {blocks[block.name].line}")
        blocks[block.name] = block
    return list(blocks.values())


def _read_block(file: Path, line: int, lines: list[str]) -> Block:
    """The block of these lines, of which the first is its name and line `line` of the file."""
    block = Block(lines[0].removeprefix(BEGIN).strip(), file, line)
    if not re.fullmatch(r"\w+", block.name):
        raise _error(file, line, f"'{block.name}' is not a name: use letters, digits and _")
    heads = [number for number, text in enumerate(lines) if CONTENT.fullmatch(text)]
    first = heads[0] if heads else len(lines)
    _read_keys(block, lines[1:first])
    for number, text in enumerate(lines[first:], start=first):
        if text.startswith("# about:"):
            what = f"is in the code of '{block.name}': a new block begins with '{BEGIN}NAME'"
            raise _error(file, line + number, f"'{text}' {what}")
    for head, end in zip(heads, [*heads[1:], len(lines)], strict=False):
        kind, where = CONTENT.fullmatch(lines[head]).groups(default="")
        text = "\n".join(lines[head + 1 : end]).rstrip("\n")
        _add(block, line + head, kind, where.strip(), text and text + "\n")
    return block


def _read_keys(block: Block, lines: list[str]) -> None:
    """Read the lines between a block's name and its first content."""
    values: list[tuple[int, str, str]] = []
    for number, text in enumerate(lines, start=block.line + 1):
        more, match = GOES_ON.fullmatch(text), KEY.fullmatch(text)
        if match:
            key, said = match.groups(default="")
            values.append((number, key, said))
        elif more and values:
            values[-1] = (*values[-1][:2], f"{values[-1][2]} {more[1]}")
        elif text.strip():
            what = "is neither '# key: value' nor below a line such as '# in: ddpm.q_sample'"
            raise _error(block.file, number, f"'{text}' {what}")
    known = KEYS[block.file.parent.name]
    for number, key, value in values:
        try:
            if key not in known:
                close = did_you_mean(key, known)
                raise ValueError(f"is not a key{close}; the keys are {', '.join(known)}")
            if key in block.keys and key != "reason":
                raise ValueError("is there twice")
            meant = _meaning(key, value.strip())
        except ValueError as error:
            raise _error(block.file, number, f"'{key}' of '{block.name}' {error}") from error
        block.keys[key] = {**block.keys.get(key, {}), **meant} if key == "reason" else meant
        block.lines[key] = number
    if "about" not in block.keys:
        raise block.error("must say in one sentence under 'about' what it is")


def _meaning(key: str, value: str) -> Any:
    """What the value of a key says; ValueError says what is wrong with it."""
    if not value:
        raise ValueError("is empty")
    if key == "judge_only":
        if value != "true":
            raise ValueError(f"is '{value}', not true; leave it out where it is not")
        return True
    if key == "remove":
        return [name.strip() for name in value.split(",")]
    if key == "fails":
        return _part(value)
    if key == "reason":
        part, _, words = value.partition(": ")
        if not words:
            raise ValueError(f"says no words after '{part}: '")
        return {_part(part): words}
    if key not in ("may_fail", "earns", "may_earn", "lacks"):
        return value
    if value == "all":
        return list(PARTS)
    named = [_part(name.strip()) for name in value.removeprefix("all except ").split(",")]
    return [part for part in PARTS if part not in named] if value.startswith("all ") else named


def _part(name: str) -> str:
    """The id of a part."""
    if name not in PARTS:
        close = did_you_mean(name, PARTS)
        raise ValueError(f"names no part: '{name}'{close}; the parts are {', '.join(PARTS)}")
    return name


def parts_in_words(ids: list[str]) -> str:
    """Parts as the keys name them, with "all" or "all except" where that is shorter."""
    others = [part for part in PARTS if part not in ids]
    if len(others) < len(ids):
        return f"all except {', '.join(others)}" if others else "all"
    return ", ".join(ids) or "nothing"


def _add(block: Block, line: int, kind: str, where: str, text: str) -> None:
    """Add a content of a kind, below this line of the file, to its block."""
    if kind == "trick":
        places, path = TRICK_PLACES, TRICK
    else:
        places, path = ({where: text}, "") if kind == "in" else ({}, where)
    for name in filter(None, (*places, path)):
        if name in block.places or name in block.files:
            raise _error(block.file, line, f"'{block.name}' has {name} twice")
        block.lines[name] = line
    block.places |= places
    if kind == "in":
        return
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise _error(block.file, line, f"'{path}' is not a path in a submission")
    try:
        block.files[path] = _content(kind, text)
    except ValueError as error:
        raise _error(block.file, line, f"{path} of '{block.name}' {error}") from error


def _content(kind: str, text: str) -> bytes:
    """What a file holds that is written as text of this kind; ValueError says what is wrong."""
    if kind == "text":
        lines = text.split("\n")[:-1]
        if not all(line.startswith("#| ") or line == "#|" for line in lines):
            raise ValueError("has a line that does not begin with '#| '")
        text = "".join(f"{line.removeprefix('#|').removeprefix(' ')}\n" for line in lines)
    if kind != "bytes":
        return text.encode()
    try:
        return b"" + _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, TypeError) as error:
        raise ValueError("is not an expression of bytes literals, '+' and '*'") from error


def _value(node: ast.expr) -> Any:
    """The value of an expression of bytes and whole numbers, without running anything else."""
    if isinstance(node, ast.Constant) and type(node.value) in (bytes, int):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
        left, right = _value(node.left), _value(node.right)
        return left + right if isinstance(node.op, ast.Add) else left * right
    raise TypeError(ast.dump(node))


def _error(file: Path, line: int, what: str) -> ScenarioError:
    return ScenarioError(f"{file}, line {line}: {what}")

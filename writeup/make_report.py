"""Turn report.md into report.pdf: python make_report.py [report.md] [--out report.pdf]

Understands headings, lists, tables, quotes, code, pictures (PNG, JPEG) at paths relative to the
Markdown file, and formulas between dollars: $x_t$ in the text, $$x_t$$ on a line of its own. It
knows the part of TeX that matplotlib's mathtext knows; if you need more, use report.tex instead.
Comments are left out.
"""

import argparse
import contextlib
import hashlib
import io
import logging
import os
import re
import select
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, unquote

QUIET = logging.getLogger("matplotlib")
QUIET.setLevel(logging.ERROR)  # it warns of a home folder that it cannot write
QUIET.getChild("mathtext").setLevel(logging.WARNING)  # see `no_missing_letters`

try:
    import matplotlib
    from fontTools.ttLib import TTFont
    from fpdf import FPDF
    from fpdf.enums import PathPaintRule
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from matplotlib.font_manager import FontProperties, findSystemFonts
    from matplotlib.path import Path as Outline
    from matplotlib.textpath import TextPath, text_to_path
    from PIL import Image
except ImportError as missing:
    print(
        f"error: the package {missing.name} is missing; install it with: "
        "python -m pip install -r requirements.txt -r requirements/report.txt",
        file=sys.stderr,
    )
    sys.exit(2)

FONT_FILES = {  # matplotlib's fonts, by family and style
    ("text", ""): "DejaVuSans.ttf",
    ("text", "B"): "DejaVuSans-Bold.ttf",
    ("text", "I"): "DejaVuSans-Oblique.ttf",
    ("text", "BI"): "DejaVuSans-BoldOblique.ttf",
    ("mono", ""): "DejaVuSansMono.ttf",
    ("mono", "B"): "DejaVuSansMono-Bold.ttf",
    ("mono", "I"): "DejaVuSansMono-Oblique.ttf",
    ("mono", "BI"): "DejaVuSansMono-BoldOblique.ttf",
}
SIZE, LINE = 10, 5.2  # points, mm
POINT = 25.4 / 72  # mm
HEADINGS = {"h1": 18, "h2": 13.5, "h3": 11.5}
MAX_PIXELS = 50_000_000  # of a picture
MAX_PICTURE = 120  # mm of height, so that a square grid leaves room for text
CELL = (1, 1.5)  # mm of padding above and beside the text in a table
SPACES = ("text", "softbreak", "hardbreak", "html_inline")
STYLES = {"strong_open": "B", "em_open": "I", "s_open": "S"}
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
IGNORED = re.compile(r"<!--|<br\s*/?>|</")
HTML = "HTML such as {} is not understood; write it as Markdown"
MATH = re.compile(
    r"\$\$(?P<displayed>(?:\\.|[^$\\])+)\$\$|\$(?![\s$])(?P<inline>(?:\\.|[^$\\\n])+)(?<!\s)\$",
    re.DOTALL,
)
TEX_SIGNS = re.compile(r"[\\^_={}<>]")
ALIASES = {  # TeX commands that mathtext lacks, with substitutes
    "tfrac": r"\frac",
    "bm": r"\boldsymbol",
    "le": r"\leq",
    "ge": r"\geq",
    "coloneqq": ":=",
    "lVert": r"\|",
    "rVert": r"\|",
    "lvert": "|",
    "rvert": "|",
    "stackrel": r"\overset",
    "textbf": r"\mathbf",
    "textit": r"\mathit",
    "textrm": r"\mathrm",
    "implies": r"\Rightarrow",
    "iff": r"\Leftrightarrow",
    "argmin": r"\mathrm{arg\,min}",
    "argmax": r"\mathrm{arg\,max}",
}
ALIASES |= dict.fromkeys(
    "big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr".split(), ""
)
WORDS = re.compile(  # spaces, letters of scripts that break lines anywhere, and words
    r"\n|[^\S\n]+|[\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]"
    r"|[^\s\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]+"
)


def printable(line: str) -> str:
    """The line with control characters, such as in file names, spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def say(line: str) -> None:
    """Print a note or an error."""
    print(printable(line), file=sys.stderr)


class Parser(argparse.ArgumentParser):
    """The command line's parser; its errors may repeat any characters."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


class ReportError(Exception):
    """Why no PDF was written: one sentence that names file and line."""


def read_math(state, silent: bool) -> bool:  # noqa: ANN001
    """A rule for markdown-it: text between dollars is a formula, whatever its characters."""
    match = MATH.match(state.src, state.pos)
    if not match or is_price(match, state.src[match.end() : match.end() + 1]):
        return False
    if not silent:
        token = state.push("math", "", 0)
        token.content, token.block = match[0], match["inline"] is None
    state.pos = match.end()
    return True


def is_price(match: re.Match, after: str) -> bool:
    """Whether dollars are money, as in "$5 or A$ 6" and "$5-$10", and not a formula."""
    if match["inline"] is None:
        return False
    inside = match["inline"].replace(r"\$", "")
    words = re.match(r"\d\S*\s.*[A-Za-z]{2}", inside)
    return not TEX_SIGNS.search(inside) and bool(after.isdigit() or words)


def read_math_block(state, first: int, last: int, silent: bool) -> bool:  # noqa: ANN001
    """A rule for markdown-it: lines from $$ to $$ are a formula, not lists, headings or quotes."""
    start = state.bMarks[first] + state.tShift[first]
    if state.is_code_block(first) or not state.src.startswith("$$", start):
        return False
    lines = []
    for number in range(first, last):
        if number > first and state.sCount[number] < state.blkIndent:
            return False
        begin = state.bMarks[number] + state.tShift[number]
        lines.append(state.src[begin : state.eMarks[number]])
        text = "\n".join(lines).rstrip()
        if len(text) > 4 and text.endswith("$$"):
            break
    match = MATH.fullmatch(text)
    if not match or match["displayed"] is None:
        return False
    if not silent:
        state.line = first + len(lines)
        state.push("paragraph_open", "p", 1)
        token = state.push("inline", "", 0)
        token.content, token.map, token.children = text, [first, state.line], []
        state.push("paragraph_close", "p", -1)
    return True


@dataclass(frozen=True)
class Formula:
    """A formula as matplotlib draws it, in points, from its left end on the baseline."""

    outline: Outline
    width: float
    above: float  # the baseline
    below: float

    @staticmethod
    @cache
    def of(content: str, size: float) -> "Formula | None":
        """The formula between dollars, for a text size in points; None for unknown TeX."""
        is_displayed = content.startswith("$$")
        known = {**ALIASES, "frac": r"\dfrac"} if is_displayed else ALIASES
        source = " ".join((content[2:-2] if is_displayed else content[1:-1]).split())
        source = re.sub(r"\\([A-Za-z]+)", lambda name: known.get(name[1], name[0]), source)
        font = FontProperties(size=size, math_fontfamily="dejavusans")
        try:
            with no_missing_letters():
                box = text_to_path.get_text_width_height_descent(f"${source}$", font, ismath=True)
                outline = TextPath((0, 0), f"${source}$", size=size, prop=font)
        except ValueError:
            return None
        width, height, below = map(float, box)
        return Formula(outline, width, height - below, below)


@contextlib.contextmanager
def no_missing_letters() -> Iterator[None]:
    """Within this context, raise ValueError for a letter that mathtext would replace by a dummy."""

    def refuse(record: logging.LogRecord) -> bool:
        raise ValueError(record.getMessage())

    log = logging.getLogger("matplotlib.mathtext")
    log.addFilter(refuse)
    try:
        yield
    finally:
        log.removeFilter(refuse)


@dataclass(frozen=True)
class Piece:
    """A word, a space or a formula of running text."""

    text: str
    font: tuple[str, str, float] = ("text", "", SIZE)  # family, style, points
    link: str = ""
    formula: Formula | None = None
    width: float = 0.0  # mm


def parse(text: str, source: Path) -> list[Token]:
    """The Markdown's tokens without comments; `meta` of their pieces holds the line."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    parser.inline.ruler.before("escape", "math", read_math)
    interrupted = ["paragraph", "reference", "blockquote", "list"]
    parser.block.ruler.before("fence", "math", read_math_block, {"alt": interrupted})
    tokens: list[Token] = []
    line = 1
    for token in parser.parse(text):
        line = token.map[0] + 1 if token.map else line  # a table's cells have no line of their own
        if token.type == "html_block" and token.content.rfind("<!--") > token.content.rfind("-->"):
            raise ReportError(f"{source}, line {line}: a comment begins here and never ends")
        rest = COMMENT.sub("", token.content).strip() if token.type == "html_block" else ""
        if rest and rest != token.content.strip():  # text after a comment, on the same line
            tokens += parse("\n" * (line - 1) + rest, source)
        elif rest or token.type != "html_block":
            tokens.append(token)
        below = line
        for piece in token.children or ():
            piece.meta["line"] = below
            below += piece.type in ("softbreak", "hardbreak") or piece.content.count("\n")
    return tokens


class Report(FPDF):
    """A PDF, written token by token."""

    def __init__(self, source: Path, text: str, font: Path | None) -> None:
        super().__init__(format="A4")
        self.source = source
        self.left = 20.0  # mm; grows inside lists and quotes
        self.lists: list[int | None] = []  # the number of the next item of each open list
        self.marker = ""  # bullet or number of an item whose first line is not yet written
        self.unknown: set[str] = set()  # formulas that cannot be drawn
        self.pictures: set[str] = set()  # names of files
        self.set_margins(20, 20)
        self.c_margin = 0
        self.set_auto_page_break(True, margin=20)
        self.set_creator("make_report.py")
        self.folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        self.add_fallback(text, self.folder / FONT_FILES["text", ""], font)
        self.add_page()
        self.set_font("text", size=SIZE)

    def set_font(self, family: str | None = None, style: str = "", size: float = 0) -> None:
        """Choose a font; its file is read on first use, since that takes a moment."""
        key = family or self.font_family, "".join(sorted(set(style) & set("BI")))
        if key in FONT_FILES and "".join(key) not in self.fonts:
            self.add_font(*key, self.folder / FONT_FILES[key])
        super().set_font(family, style, size)

    def footer(self) -> None:
        """The number of the page."""
        self.set_y(-14)
        self.set_font("text", size=8)
        self.cell(0, 5, str(self.page_no()), align="C")

    def add_fallback(self, text: str, main: Path, font: Path | None) -> None:
        """Find a font for letters that the main one lacks (such as Chinese), or name those."""
        text = COMMENT.sub("", text)
        lacking = {c for c in text if c.isprintable()} - letters_of(main)
        candidates = [font] if font else findSystemFonts() if lacking else []
        found = [(len(lacking & letters_of(Path(path))), str(path)) for path in candidates]
        for number, path in sorted(found, reverse=True):
            if not number:
                break
            with contextlib.suppress(Exception):  # a font of a kind that fpdf2 cannot embed
                self.add_font("fallback", "", path)
                self.set_fallback_fonts(["fallback"], exact_match=False)
                lacking -= letters_of(Path(path))
                break
        if lacking:
            note = "".join(sorted(lacking)[:20])
            say(
                f"note: no font here has {note}, which the PDF will lack; "
                "--font FILE.ttf names a font that has these letters"
            )

    def fail(self, line: int, problem: str) -> NoReturn:
        """Give up because of a line of the Markdown file."""
        raise ReportError(f"{self.source}, line {line}: {problem}")

    def check(self, tokens: list[Token]) -> None:
        """Refuse HTML, and pictures that cannot be read, which would otherwise be lost silently."""
        for token in tokens:
            if token.type == "html_block":
                self.fail(token.map[0] + 1, HTML.format(token.content.split()[0]))
            for piece in token.children or ():
                if piece.type == "image":
                    self.open_picture(piece)
                elif piece.type == "html_inline" and not IGNORED.match(piece.content):
                    self.fail(piece.meta["line"], HTML.format(piece.content))

    # blocks

    def write_blocks(self, tokens: list[Token]) -> None:
        """Write a whole document."""
        position = 0
        while position < len(tokens):
            token = tokens[position]
            if token.type == "table_open":
                end = position
                while tokens[end].type != "table_close":
                    end += 1
                try:
                    self.write_table(tokens[position:end])
                except ValueError:
                    self.fail(token.map[0] + 1, "this table has a row that is higher than a page")
                position = end
            elif token.type == "heading_open" and plain(tokens[position + 1]):
                self.write_heading(token.tag, tokens[position + 1])
                position += 1
            elif token.type == "inline":
                self.write_paragraph(token, tight=tokens[position - 1].hidden)
            else:
                self.write_other(token)
            position += 1

    def write_other(self, token: Token) -> None:
        """Write, open or close a block that is neither text nor a table."""
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                numbered = token.type[0] == "o"
                self.lists.append(int(token.attrGet("start") or 1) if numbered else None)
                self.left += 7
            case "bullet_list_close" | "ordered_list_close":
                self.lists.pop()
                self.left -= 7
                if not self.lists:
                    self.ln(2)
            case "list_item_open":
                self.write_marker()
                self.make_room(2 * LINE)
                number = self.lists[-1]
                self.marker = "•" if number is None else f"{number}."
                self.lists[-1] = None if number is None else number + 1
            case "list_item_close" if self.marker:  # an empty item
                self.write_marker()
                self.ln(LINE)
            case "blockquote_open" | "blockquote_close":
                self.left += 7 if token.type.endswith("open") else -7
                self.set_text_color(*((90,) * 3 if token.type.endswith("open") else (0,) * 3))
            case "fence" | "code_block":
                self.write_code(token.content.rstrip("\n"))
            case "hr":
                self.line(self.left, self.y + 1, self.w - self.r_margin, self.y + 1)
                self.ln(4)

    def write_heading(self, tag: str, inline: Token) -> None:
        """Write a heading, on a new page if little room is left below it."""
        size = HEADINGS.get(tag, SIZE)
        self.make_room(30)
        if self.y > self.t_margin:
            self.ln(3)
        self.start_section(plain(inline), level=int(tag[1]) - 1, strict=False)
        self.write_inline(inline.children, size, base="B")
        self.ln(1.3)

    def write_marker(self, down: float = 0.0) -> None:
        """Write the number or bullet of an item next to its first line, `mm` lower than usual."""
        if self.marker:
            x, y = self.x, self.y
            self.set_font("text", size=SIZE)
            self.set_xy(self.left - 7, y + down)
            self.cell(5.5, LINE, self.marker, align="R")
            self.set_xy(x, y)
            self.marker = ""

    def write_code(self, text: str) -> None:
        """Write a block of code on grey; long lines may break anywhere."""
        self.write_marker()
        self.set_font("mono", size=8.5)
        self.set_x(self.left)
        width = self.w - self.r_margin - self.left
        with self.local_context(fill_color=243):
            self.multi_cell(
                width, 4.4, text, fill=True, align="L", wrapmode="CHAR", padding=(1, 1.5)
            )
        self.set_xy(self.l_margin, self.y + 2.5)

    def write_paragraph(self, inline: Token, tight: bool) -> None:
        """Write a paragraph; its pictures and displayed formulas get their own lines.

        Several pictures in a row are set side by side.
        """
        runs: list[tuple[str, list[Token]]] = []  # what the pieces are, and the pieces
        for piece in inline.children:
            kind = "formula" if piece.type == "math" and piece.block else piece.type
            kind = kind if kind in ("image", "formula") else "text"
            blank = piece.type in SPACES and not shown_text(piece).strip()
            if blank and runs and runs[-1][0] != "text":
                continue
            if not runs or runs[-1][0] != kind or kind == "formula":
                runs.append((kind, []))
            runs[-1][1].append(piece)
        for kind, pieces in runs:
            if kind == "image":
                self.write_pictures(pieces)
            elif kind == "formula":
                self.ln(1)
                self.write_inline(pieces, align="C")
                self.ln(2.5)
            elif "".join(map(shown_text, pieces)).strip():
                self.write_inline(pieces)
                self.ln(0 if tight else 2)

    # pictures and tables

    def open_picture(self, token: Token) -> tuple[Path, float]:
        """The file of a picture and its height divided by its width."""
        line, name = token.meta["line"], unquote(str(token.attrGet("src")))
        if re.match(r"[a-z]+://|data:", name):
            self.fail(line, f"{name[:60]} is not a file; save the picture next to the report")
        path = self.source.parent / name
        if not path.is_file():
            self.fail(line, f"there is no picture {name}")
        try:
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                if image.width * image.height > MAX_PIXELS:
                    self.fail(line, f"{name} is too large; make it smaller, or crop it")
                image.load()
                self.pictures.add(name)
                return path, image.height / image.width
        except ReportError:
            raise
        except Exception:  # Pillow raises many kinds
            self.fail(line, f"{name} is damaged, or not a PNG or JPEG file")

    def write_pictures(self, group: list[Token]) -> None:
        """Write pictures side by side over the page's width, each with its text below."""
        room = self.w - self.r_margin - self.left
        width = (room - 4 * (len(group) - 1)) / len(group)
        pictures = [(*self.open_picture(token), token) for token in group]
        heights = [min(width * ratio, MAX_PICTURE) for _, ratio, _ in pictures]
        self.make_room(max(heights) + 2 * LINE)
        self.write_marker()
        top, bottom = self.y, self.y
        for i, ((path, ratio, token), height) in enumerate(zip(pictures, heights, strict=True)):
            left = self.left + i * (width + 4)
            shown = height / ratio
            caption = plain(token)
            self.image(path, left + (width - shown) / 2, top, shown, height, alt_text=caption)
            self.set_y(top + height + 1)
            if caption:
                pieces = self.pieces_of(token.children, 8.5, "I")
                self.write_lines(pieces, left, width, 4.2, "C")
            bottom = max(bottom, self.y)
        self.set_xy(self.l_margin, bottom + 3)

    def write_table(self, tokens: list[Token]) -> None:
        """Write a table; columns are as wide as their text needs, within limits."""
        self.write_marker()
        rows: list[list[Token]] = []
        aligns: list[str] = []
        for before, token in pairwise(tokens):
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append(token)
                style = str(before.attrGet("style") or "")
                if len(rows) == 1:
                    aligns.append("R" if "right" in style else "C" if "center" in style else "L")
        room = self.w - self.r_margin - self.left
        cells = [
            [self.cell_of(token, "" if i else "B") for token in row] for i, row in enumerate(rows)
        ]
        wanted = [
            max(
                sum(piece.width for piece in cell) if isinstance(cell, list) else 0
                for cell in column
            )
            for column in zip(*cells, strict=True)
        ]
        wanted = [min(max(width + 6, 25), room / 2) for width in wanted]
        widths = [width / sum(wanted) * room for width in wanted]
        for number, row in enumerate(cells):
            height = max(
                self.height_of(cell, width) for cell, width in zip(row, widths, strict=True)
            )
            if height > self.h - self.t_margin - self.b_margin:
                raise ValueError("higher than a page")
            if self.will_page_break(height) and self.y > self.t_margin:
                self.add_page()
                if number > 1:  # the heading again
                    self.write_row(cells[0], widths, aligns)
            self.write_row(row, widths, aligns)
        self.set_xy(self.l_margin, self.y + 4)

    def cell_of(self, inline: Token, style: str) -> "list[Piece] | Token":
        """A table's cell: its text, or a picture if that is all it holds."""
        pictures = [piece for piece in inline.children if piece.type == "image"]
        if pictures and (pictures[1:] or plain(inline)):
            line = pictures[0].meta["line"]
            self.fail(line, "a cell holds either text or one picture; split it")
        return pictures[0] if pictures else self.pieces_of(inline.children, 9, style)

    def height_of(self, cell: "list[Piece] | Token", width: float) -> float:
        """The height in mm of a table's cell with this width."""
        inner = width - 2 * CELL[1]
        if isinstance(cell, Token):
            return 2 * CELL[0] + inner * self.open_picture(cell)[1]
        lines = self.lines_of(cell, inner)
        return 2 * CELL[0] + max(sum(sum(self.extent_of(line, 5)) for line in lines), 5)

    def write_row(self, cells: list, widths: list[float], aligns: list[str]) -> None:
        """Write a row of a table and the line below it; it must fit the page."""
        left, top = self.left, self.y
        height = max(self.height_of(cell, width) for cell, width in zip(cells, widths, strict=True))
        for cell, width, align in zip(cells, widths, aligns, strict=True):
            inner = width - 2 * CELL[1]
            self.set_y(top + CELL[0])
            if isinstance(cell, Token):
                path, ratio = self.open_picture(cell)
                self.image(path, left + CELL[1], self.y, inner, inner * ratio)
            else:
                self.write_lines(cell, left + CELL[1], inner, 5, align)
            left += width
        self.set_y(top + height)
        self.line(self.left, self.y, left, self.y)

    # text

    def make_room(self, height: float) -> None:
        """Begin a new page if less than this height is left on the current one."""
        if self.will_page_break(height) and self.y > self.t_margin:
            self.add_page()

    def write_inline(
        self, tokens: list[Token], size: float = SIZE, base: str = "", align: str = "L"
    ) -> None:
        """Write running text with its emphasis, code, links and formulas, over the page's width."""
        pieces = self.pieces_of(tokens, size, base)
        room = self.w - self.r_margin - self.left
        self.write_lines(pieces, self.left, room, size * LINE / SIZE, align)

    def pieces_of(self, tokens: list[Token], size: float, base: str = "") -> list[Piece]:
        """Running text in pieces, between which lines may break."""
        pieces: list[Piece] = []
        styles, link = set(base), ""
        for token in tokens:
            if token.type in STYLES:
                styles.add(STYLES[token.type])
            elif token.type.replace("close", "open") in STYLES:
                styles -= {STYLES[token.type.replace("close", "open")]} - set(base)
            elif token.type == "link_open":
                href = str(token.attrGet("href"))
                link = href if re.match(r"https?://|mailto:", href) else ""
            elif token.type == "link_close":
                link = ""
            formula = self.formula_of(token, size) if token.type == "math" else None
            is_code = token.type in ("code_inline", "math")
            style = "".join(sorted(styles))
            font = ("mono", style, size * 0.92) if is_code else ("text", style, size)
            if formula:
                pieces.append(Piece(token.content, font, link, formula, formula.width * POINT))
            else:
                pieces += self.words_of(shown_text(token), font, link)
        return pieces

    def formula_of(self, token: Token, size: float) -> Formula | None:
        """A formula for a text size; None, noted once, if it must be shown as typed."""
        formula = Formula.of(token.content, size)
        if not formula and token.content not in self.unknown:
            self.unknown.add(token.content)
            typed = " ".join(token.content.split())
            say(
                f"note: {self.source}, line {token.meta['line']}: matplotlib cannot draw {typed}, "
                "so it is shown as typed"
            )
        return formula

    def words_of(self, text: str, font: tuple[str, str, float], link: str) -> list[Piece]:
        """A text's words and spaces."""
        self.set_font(font[0], font[1], font[2])
        words = WORDS.findall(text)
        return [
            Piece(w, font, link, width=self.get_string_width(w) if w != "\n" else 0) for w in words
        ]

    def lines_of(self, pieces: list[Piece], room: float) -> list[list[Piece]]:
        """Pieces broken into lines of a width in mm, at spaces if possible."""
        lines: list[list[Piece]] = [[]]
        used = 0.0
        for is_space, group in groupby(pieces, key=lambda piece: piece.text.isspace()):
            block = list(group)
            width = sum(piece.width for piece in block)
            if is_space:
                breaks = sum("\n" in piece.text for piece in block)
                lines += [[] for _ in range(breaks)]
                if not breaks and lines[-1]:
                    lines[-1] += block
                used = 0.0 if breaks else used + width
                continue
            if used + width > room and lines[-1]:
                lines.append([])
                used = 0.0
            for piece in self.fitting(block, room) if width > room else block:
                if used + piece.width > room + 0.01 and lines[-1]:
                    lines.append([])
                    used = 0.0
                lines[-1].append(piece)
                used += piece.width
        return [without_end(line) for line in lines]

    def fitting(self, pieces: list[Piece], room: float) -> Iterator[Piece]:
        """Pieces that fit a line: formulas become smaller, words are cut into letters."""
        for piece in pieces:
            if piece.width <= room:
                yield piece
            elif piece.formula:
                yield replace(piece, width=room)
            else:
                self.set_font(*piece.font)
                for letter in piece.text:
                    yield replace(piece, text=letter, width=self.get_string_width(letter))

    def extent_of(self, line: list[Piece], height: float) -> tuple[float, float]:
        """How far a line extends above and below its baseline in mm, at least the usual height."""
        size = max((piece.font[2] for piece in line), default=SIZE) * POINT
        above, below = height / 2 + 0.3 * size, height / 2 - 0.3 * size  # as cell() has it
        for piece in line:
            if piece.formula:
                scale = piece.width / piece.formula.width if piece.formula.width else 1
                above = max(above, piece.formula.above * scale + 0.4)
                below = max(below, piece.formula.below * scale + 0.4)
        return above, below

    def write_lines(
        self, pieces: list[Piece], left: float, room: float, height: float, align: str
    ) -> None:
        """Write pieces in lines of a width and a usual height, all in mm, down from here."""
        lines = self.lines_of(pieces, room)
        extents = [self.extent_of(line, height) for line in lines]
        together = len(lines) if len(lines) <= 3 else 2  # no single line at the end of a page
        self.make_room(sum(map(sum, extents[:together])))
        for line, (above, below) in zip(lines, extents, strict=True):
            self.make_room(above + below)
            usual = self.extent_of([replace(p, formula=None) for p in line], height)[0]
            top, baseline = self.y + above - usual, self.y + above
            self.write_marker(top - self.y)
            free = room - sum(piece.width for piece in line)
            self.set_x(left + free * {"L": 0, "C": 0.5, "R": 1}[align])
            for (font, link, formula), group in groupby(
                line, key=lambda piece: (piece.font, piece.link, piece.formula)
            ):
                run = list(group)
                if formula:
                    for piece in run:
                        self.draw(piece, baseline)
                    continue
                self.set_font(*font)
                with self.local_context(**({"text_color": (20, 60, 160)} if link else {})):
                    self.set_xy(self.x, top)
                    text = "".join(piece.text for piece in run)
                    self.cell(sum(piece.width for piece in run), height, text, link=link)
            self.set_xy(self.l_margin, baseline + below)
        self.set_font("text", size=SIZE)

    def draw(self, piece: Piece, baseline: float) -> None:
        """Draw a formula from here, with its baseline at a height, and move behind it."""
        scale = piece.width / piece.formula.width if piece.formula.width else 0
        with self.new_path(paint_rule=PathPaintRule.FILL_NONZERO) as path:
            path.style.fill_color = self.text_color
            path.style.stroke_color = None
            for points, code in piece.formula.outline.iter_segments(simplify=False):
                at = [
                    self.x + value * scale if i % 2 == 0 else baseline - value * scale
                    for i, value in enumerate(map(float, points))
                ]
                match code:
                    case Outline.MOVETO:
                        path.move_to(*at)
                    case Outline.LINETO:
                        path.line_to(*at)
                    case Outline.CURVE3:
                        path.quadratic_curve_to(*at)
                    case Outline.CURVE4:
                        path.curve_to(*at)
                    case Outline.CLOSEPOLY:
                        path.close()
        self.set_x(self.x + piece.width)


def without_end(line: list[Piece]) -> list[Piece]:
    """A line without trailing spaces."""
    while line and line[-1].text.isspace():
        line = line[:-1]
    return line


def letters_of(path: Path) -> set[str]:
    """All letters that a font file has; none if it cannot be read."""
    try:
        with TTFont(path, fontNumber=0, lazy=True) as font:
            return {chr(code) for code in font.getBestCmap() or ()}
    except Exception:  # fontTools raises many kinds
        return set()


def shown_text(token: Token) -> str:
    """The text that a piece of running text shows."""
    if token.type in ("softbreak", "hardbreak"):
        return " " if token.type == "softbreak" else "\n"
    if token.type == "html_inline":
        return "\n" if token.content.startswith("<br") else ""
    return token.content if token.type in ("text", "code_inline", "math") else ""


def plain(token: Token) -> str:
    """Running text without emphasis."""
    return "".join(shown_text(piece) for piece in token.children or ()).strip()


def make_pdf(source: Path, font: Path | None) -> bytes:
    """Make the PDF of a Markdown file.

    Raises:
        ReportError: a line of the file cannot be shown.
    """
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReportError(f"{source} is not UTF-8 text; save it as UTF-8") from error
    if font and not letters_of(font):
        raise ReportError(f"--font: {font} is not a font file that can be read")
    tokens = parse(text, source)
    report = Report(source, text, font)
    titles = [plain(b) for a, b in pairwise(tokens) if a.tag == "h1" != b.tag]
    report.set_title(titles[0] if titles else source.stem)
    report.check(tokens)
    report.write_blocks(tokens)
    report.set_keywords(made_of(source, sorted(report.pictures)))
    return bytes(report.output())


def made_of(source: Path, pictures: list[str]) -> str:
    """The files that a PDF was made from, so that zip_submission.py sees whether they changed."""
    names = [source.name, *pictures]
    digests = [hashlib.sha256((source.parent / name).read_bytes()).hexdigest() for name in names]
    files = (f"{quote(name)}={digest[:16]}" for name, digest in zip(names, digests, strict=True))
    return f"made of {' '.join(files)}"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically: next to its place, then move it there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def main() -> int:
    """Read the flags, write the PDF; returns the exit code."""
    here = Path(__file__).resolve().parent
    default = Path(os.path.relpath(here / "report.md"))
    parser = Parser(description="Turn the report's Markdown into a PDF.")
    parser.add_argument("source", nargs="?", type=Path, default=default, help="a Markdown file")
    parser.add_argument("--out", metavar="FILE", type=Path, help="default: next to it, as .pdf")
    parser.add_argument("--font", metavar="FILE", type=Path, help="for letters that DejaVu lacks")
    args = parser.parse_args()
    out = args.out or args.source.with_suffix(".pdf")
    if out.suffix.lower() != ".pdf":  # such as report.md, by mistake
        parser.error(f"--out must be a file that ends in .pdf, not {out}")
    if not out.absolute().parent.is_dir():
        parser.error(f"--out: the folder {out.absolute().parent} does not exist")
    logging.getLogger("fpdf").setLevel(logging.ERROR)
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    try:
        content = make_pdf(args.source, args.font)
        try:
            write_whole(out, content)
        except OSError as error:  # which names a file of a moment
            raise ReportError(f"{out} cannot be written ({error.strerror})") from None
    except ReportError as error:
        say(f"error: {error}")
        return 2
    except OSError as error:
        say(f"error: {error.strerror}: {error.filename or ''}")
        return 2
    print(printable(f"{out}: {len(content) / 1e3:.0f} kB"))
    return 0


@contextlib.contextmanager
def ending_with_its_reader() -> Iterator[None]:
    """Within this context, exit without a traceback once nobody reads the output (`| head`)."""
    try:
        yield
    except BrokenPipeError:
        if not _drop_unread():  # another pipe, such as a worker's
            raise
        sys.exit(141)  # as a shell says of a program that SIGPIPE ended
    finally:
        try:
            print(end="", flush=True)  # what is left for Python's own end would show a traceback
        except BrokenPipeError:
            _drop_unread()


def _drop_unread() -> bool:
    """Let what is written to pipes without a reader go nowhere; whether there are any."""
    found = False
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # no poll, or no file
            pipe = select.poll()
            pipe.register(stream.fileno(), 0)  # 0: errors alone, which are always reported
            if pipe.poll(0):
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), stream.fileno())
                found = True
    return found


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # a console may lack the letters of a name
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with ending_with_its_reader():
        sys.exit(main())

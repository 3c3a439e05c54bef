"""Turn report.md into report.pdf: python make_report.py [report.md] [--out report.pdf]

Understands headings, lists, tables, quotes, code and pictures (PNG, JPEG) of paths relative to the
Markdown file. Formulas appear as they are typed; with LaTeX, start from report.tex instead.
Comments do not appear.
"""

import argparse
import contextlib
import logging
import os
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

try:
    import matplotlib
    from fontTools.ttLib import TTFont
    from fpdf import FPDF, FontFace
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from matplotlib.font_manager import findSystemFonts
    from PIL import Image
except ImportError as missing:
    print(
        f"error: the package {missing.name} is missing; install it by: "
        "python -m pip install -r requirements.txt -r requirements-report.txt",
        file=sys.stderr,
    )
    sys.exit(2)

FONT_FILES = {  # of matplotlib, by family and style
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
HEADINGS = {"h1": 18, "h2": 13.5, "h3": 11.5}
MAX_PICTURE = 120  # mm of height: a square grid leaves room for text
SPACES = ("text", "softbreak", "hardbreak", "html_inline")
STYLES = {"strong_open": "B", "em_open": "I", "s_open": "S"}
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
IGNORED = re.compile(r"<!--|<br\s*/?>|</")
HTML = "HTML such as {} is not understood; write it as Markdown"
MATH = re.compile(r"\$\$[^$]+\$\$|\$(?!\s)[^$\n]+(?<!\s)\$(?!\d)")


class ReportError(Exception):
    """Why there is no PDF; one sentence that names file and line."""


def read_math(state, silent: bool) -> bool:  # noqa: ANN001
    """A rule for markdown-it: what stands between dollars is text, whatever signs it holds."""
    match = MATH.match(state.src, state.pos)
    if not match:
        return False
    if not silent:
        state.push("math", "", 0).content = match[0]
    state.pos = match.end()
    return True


def parse(text: str, source: Path) -> list[Token]:
    """The Markdown's tokens, their pieces of text with lines in `meta`; without the comments."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    parser.inline.ruler.before("escape", "math", read_math)
    tokens: list[Token] = []
    line = 1
    for token in parser.parse(text):
        line = token.map[0] + 1 if token.map else line  # a table's cells have none of their own
        if token.type == "html_block" and token.content.rfind("<!--") > token.content.rfind("-->"):
            raise ReportError(f"{source}, line {line}: a comment begins here and never ends")
        rest = COMMENT.sub("", token.content).strip() if token.type == "html_block" else ""
        if rest and rest != token.content.strip():  # text after a comment, in its line
            tokens += parse("\n" * (line - 1) + rest, source)
        elif rest or token.type != "html_block":
            tokens.append(token)
        below = line
        for piece in token.children or ():
            piece.meta["line"] = below
            below += piece.type in ("softbreak", "hardbreak")
    return tokens


class Report(FPDF):
    """A PDF that is written token by token."""

    def __init__(self, source: Path, text: str, font: Path | None) -> None:
        super().__init__(format="A4")
        self.source = source
        self.left = 20.0  # mm; grows inside lists and quotes
        self.lists: list[int | None] = []  # the number of the next item of each open list
        self.marker_top = -1.0  # where the last bullet or number stands
        self.set_margins(20, 20)
        self.c_margin = 0
        self.set_auto_page_break(True, margin=20)
        self.set_creator("make_report.py")
        folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        for (family, style), name in FONT_FILES.items():
            self.add_font(family, style, folder / name)
        self.add_fallback(text, folder / FONT_FILES["text", ""], font)
        self.add_page()
        self.set_font("text", size=SIZE)

    def footer(self) -> None:
        """The number of the page."""
        self.set_y(-14)
        self.set_font("text", size=8)
        self.cell(0, 5, str(self.page_no()), align="C")

    def add_fallback(self, text: str, main: Path, font: Path | None) -> None:
        """Find a font for letters that the main one lacks (such as Chinese), or say which lack."""
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
            print(
                f"note: no font here has {note}, which the PDF will lack; "
                "--font FILE.ttf names a font that has these letters",
                file=sys.stderr,
            )

    def fail(self, line: int, problem: str) -> NoReturn:
        """Give up because of a line of the Markdown file."""
        raise ReportError(f"{self.source}, line {line}: {problem}")

    def check(self, tokens: list[Token]) -> None:
        """Refuse HTML, and pictures that cannot be read: they would be lost without a word."""
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
        """Write all of a document."""
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
        """Write a block that is neither text nor table, or open or close one."""
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
            case "list_item_close" if self.y == self.marker_top:  # an empty item
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
        """Write a heading, on a new page where little room is left below it."""
        size = HEADINGS.get(tag, SIZE)
        self.make_room(30)
        if self.y > self.t_margin:
            self.ln(3)
        self.start_section(plain(inline), level=int(tag[1]) - 1, strict=False)
        self.write_inline(inline.children, size, base="B")
        self.ln(size * 0.55 + 1)

    def write_marker(self) -> None:
        """Begin an item of a list with its number or a bullet."""
        number = self.lists[-1]
        self.make_room(2 * LINE)
        self.marker_top = self.y
        self.set_font("text", size=SIZE)
        self.set_x(self.left - 7)
        self.cell(5.5, LINE, "•" if number is None else f"{number}.", align="R")
        if number is not None:
            self.lists[-1] = number + 1

    def write_code(self, text: str) -> None:
        """Write a block of code on grey, with long lines broken anywhere."""
        self.set_font("mono", size=8.5)
        self.set_x(self.left)
        width = self.w - self.r_margin - self.left
        with self.local_context(fill_color=243):
            self.multi_cell(
                width, 4.4, text, fill=True, align="L", wrapmode="CHAR", padding=(1, 1.5)
            )
        self.set_xy(self.l_margin, self.y + 2.5)

    def write_paragraph(self, inline: Token, tight: bool) -> None:
        """Write a paragraph; pictures in it stand by themselves, several in a row side by side."""
        runs: list[tuple[bool, list[Token]]] = []  # whether they are pictures, and the pieces
        for piece in inline.children:
            is_picture = piece.type == "image"
            if piece.type in SPACES and runs and runs[-1][0] and not shown_text(piece).strip():
                continue
            if not runs or runs[-1][0] != is_picture:
                runs.append((is_picture, []))
            runs[-1][1].append(piece)
        for is_picture, pieces in runs:
            if is_picture:
                self.write_pictures(pieces)
            elif "".join(map(shown_text, pieces)).strip():
                self.write_inline(pieces)
                self.ln(LINE if tight else LINE + 2)

    # pictures and tables

    def open_picture(self, token: Token) -> tuple[Path, float]:
        """The file of a picture and its height divided by its width."""
        line, name = token.meta["line"], unquote(token.attrGet("src"))
        if re.match(r"[a-z]+://|data:", name):
            self.fail(line, f"{name[:60]} is no file; save the picture beside the report")
        path = self.source.parent / name
        if not path.is_file():
            self.fail(line, f"there is no picture {name}")
        try:
            with Image.open(path) as image:
                image.load()
                return path, image.height / image.width
        except Exception:  # Pillow raises many kinds
            self.fail(line, f"{name} is damaged or no PNG or JPEG")

    def write_pictures(self, group: list[Token]) -> None:
        """Write pictures side by side over the width of the page, each with its text below."""
        room = self.w - self.r_margin - self.left
        width = (room - 4 * (len(group) - 1)) / len(group)
        pictures = [(*self.open_picture(token), plain(token)) for token in group]
        heights = [min(width * ratio, MAX_PICTURE) for _, ratio, _ in pictures]
        self.make_room(max(heights) + 2 * LINE)
        top, bottom = self.y, self.y
        for i, ((path, ratio, caption), height) in enumerate(zip(pictures, heights, strict=True)):
            left = self.left + i * (width + 4)
            shown = height / ratio
            self.image(path, left + (width - shown) / 2, top, shown, height, alt_text=caption)
            self.set_xy(left, top + height + 1)
            self.set_font("text", "I", size=8.5)
            if caption:
                self.multi_cell(width, 4.2, caption, align="C", new_x="LMARGIN", new_y="NEXT")
            bottom = max(bottom, self.y)
        self.set_xy(self.l_margin, bottom + 3)

    def write_table(self, tokens: list[Token]) -> None:
        """Write a table; columns are as wide as their text asks, within limits."""
        rows: list[list[tuple[Token, str]]] = []
        for before, token in pairwise(tokens):
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append((token, before.attrGet("style") or ""))
        self.set_font("text", size=9)
        columns = list(zip(*rows, strict=True))
        widths = [max(self.get_string_width(plain(c[0])) for c in column) for column in columns]
        room = self.w - self.r_margin - self.left
        widths = [min(max(width + 6, 25), room / 2) for width in widths]
        aligns = [
            "R" if "right" in c[0][1] else "C" if "center" in c[0][1] else "L" for c in columns
        ]
        with self.table(
            width=room,
            align="R",
            col_widths=tuple(widths),
            text_align=tuple(aligns),
            borders_layout="HORIZONTAL_LINES",
            headings_style=FontFace(emphasis="BOLD"),
            line_height=5,
            padding=(1, 1.5),
        ) as table:
            for row in rows:
                cells = table.row()
                for inline, _ in row:
                    pictures = [piece for piece in inline.children if piece.type == "image"]
                    if pictures and (pictures[1:] or plain(inline)):
                        line = pictures[0].meta["line"]
                        self.fail(line, "a cell holds either text or one picture; split it")
                    if pictures:
                        cells.cell(img=self.open_picture(pictures[0])[0], img_fill_width=True)
                    else:
                        cells.cell(plain(inline))
        self.line(self.left, self.y, self.w - self.r_margin, self.y)
        self.set_xy(self.l_margin, self.y + 4)

    # text

    def make_room(self, height: float) -> None:
        """Begin a page where less than this height is left on the current one."""
        if self.will_page_break(height) and self.y > self.t_margin:
            self.add_page()

    def write_inline(self, pieces: list[Token], size: float = SIZE, base: str = "") -> None:
        """Write running text with its emphasis, code and links, from the current left edge."""
        height = size * LINE / SIZE
        old = self.l_margin
        self.set_left_margin(self.left)  # where the lines after the first begin
        self.set_x(self.left)
        styles, link, begun = set(base), "", False
        for piece in pieces:
            if piece.type in STYLES:
                styles.add(STYLES[piece.type])
            elif piece.type.replace("close", "open") in STYLES:
                styles -= {STYLES[piece.type.replace("close", "open")]} - set(base)
            elif piece.type == "link_open":
                href = piece.attrGet("href")
                link = href if re.match(r"https?://|mailto:", href) else ""
            elif piece.type == "link_close":
                link = ""
            text = shown_text(piece) if begun else shown_text(piece).lstrip()
            if text:
                begun = True
                family = "mono" if piece.type in ("code_inline", "math") else "text"
                self.set_font(family, "".join(sorted(styles)), size * (0.92, 1)[family == "text"])
                with self.local_context(**({"text_color": (20, 60, 160)} if link else {})):
                    self.write(height, text, link=link)
        self.set_left_margin(old)
        self.set_font("text", size=SIZE)


def letters_of(path: Path) -> set[str]:
    """All letters that a font file has; none where it cannot be read."""
    try:
        with TTFont(path, fontNumber=0, lazy=True) as font:
            return {chr(code) for code in font.getBestCmap() or ()}
    except Exception:  # fontTools raises many kinds
        return set()


def shown_text(token: Token) -> str:
    """What one piece of running text shows."""
    if token.type in ("softbreak", "hardbreak"):
        return " " if token.type == "softbreak" else "\n"
    if token.type == "html_inline":
        return "\n" if token.content.startswith("<br") else ""
    return token.content if token.type in ("text", "code_inline", "math") else ""


def plain(token: Token) -> str:
    """Running text without its emphasis."""
    return "".join(shown_text(piece) for piece in token.children or ()).strip()


def make_pdf(source: Path, font: Path | None) -> bytes:
    """The PDF of a Markdown file.

    Raises:
        ReportError: a line of the file cannot be shown.
    """
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReportError(f"{source} is not UTF-8 text; save it as UTF-8") from error
    if font and not letters_of(font):
        raise ReportError(f"--font: {font} is no font file that can be read")
    tokens = parse(text, source)
    report = Report(source, text, font)
    titles = [plain(b) for a, b in pairwise(tokens) if a.tag == "h1" != b.tag]
    report.set_title(titles[0] if titles else source.stem)
    report.check(tokens)
    report.write_blocks(tokens)
    return bytes(report.output())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place, then move it there: it is never half there."""
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
    parser = argparse.ArgumentParser(description="Turn the report's Markdown into a PDF.")
    parser.add_argument("source", nargs="?", type=Path, default=default, help="a Markdown file")
    parser.add_argument("--out", metavar="FILE", type=Path, help="default: beside it, as .pdf")
    parser.add_argument("--font", metavar="FILE", type=Path, help="for letters that DejaVu lacks")
    args = parser.parse_args()
    out = args.out or args.source.with_suffix(".pdf")
    if out.suffix.lower() != ".pdf":  # may be report.md, by a slip
        parser.error(f"--out must be a file that ends in .pdf, not {out}")
    logging.getLogger("fpdf").setLevel(logging.ERROR)
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    try:
        content = make_pdf(args.source, args.font)
        write_whole(out, content)
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.strerror}: {error.filename or ''}", file=sys.stderr)
        return 2
    print(f"{out}: {len(content) / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # a console may lack the letters of a name
        stream.reconfigure(errors="backslashreplace")
    sys.exit(main())

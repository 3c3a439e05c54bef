"""Writes sheets of questions as a PDF for an oral: on A4, with room for notes and points.

The text is set in DejaVu, which comes with matplotlib. Letters that it lacks, such as Chinese, come
from the fonts of this computer; those that no font has are spelled out, as \\u9673.
"""

import contextlib
import io
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import matplotlib
from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.bidi import BidiParagraph
from matplotlib.font_manager import findSystemFonts

from autograder.extras.viva.questions import Question, Sheet
from autograder.extras.viva.quizzes import png, title_of
from autograder.text import visible

FONTS = {  # matplotlib's fonts, by family and style
    ("text", ""): "DejaVuSans.ttf",
    ("text", "B"): "DejaVuSans-Bold.ttf",
    ("mono", ""): "DejaVuSansMono.ttf",
    ("mono", "B"): "DejaVuSansMono-Bold.ttf",
}
MARGIN, INDENT = 18.0, 9.5  # mm; the indent of a question, and of its code and answers once more
LINE, GAP = 5.0, 2.0  # mm of a line of text, and between the parts of a question
SIZE, SMALL = 10.0, 8.5  # points of text, and of code
PICTURE = 34.0  # mm of a picture's sides
RULES, RULE = 3, 8.0  # lines for notes on each question, mm from one to the next
POINTS = 22.0  # mm of the box for points beside them
LONGEST_NAME = 70  # letters of a name at the foot of a page
LONGEST_LINE = 2000  # letters of a line of code


@dataclass(frozen=True)
class Row:
    """A line of text that fits the page, with what is in front of it."""

    text: str
    front: str = ""
    family: str = "text"
    style: str = ""
    size: float = SIZE
    left: float = 0.0  # mm from the margin
    is_code: bool = False  # on grey


def as_pdf(sheets: Sequence[Sheet], keys: bool) -> bytes:
    """All sheets as a PDF, each from the front of a new leaf on, with the right answers marked.

    Args:
        keys: mark the right answers; all else is the same without, page for page.
    """
    for noisy in ("fpdf", "fontTools"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    paper = Paper(letters_in(sheets))
    paper.set_title("Questions on the code" + (", with keys" if keys else ""))
    for sheet in sheets:
        paper.begin(title_of(sheet))
        if sheet.trouble:
            paper.put(paper.rows(Row(f"Fewer questions than five: {visible(sheet.trouble)}.")))
        for number, question in enumerate(sheet.questions, 1):
            paper.ask(number, question, keys)
    return bytes(paper.output())


def letters_in(sheets: Iterable[Sheet]) -> set[str]:
    """All letters of the sheets."""
    found: set[str] = set()
    for sheet in sheets:
        found |= {*title_of(sheet), *visible(sheet.trouble)}
        for question in sheet.questions:
            found |= {*question.text, *question.code, *"".join(question.answers)}
    return found


class Paper(FPDF):
    """Pages with the name of a sheet at their foot.

    Args:
        letters: those that will be written, for which fonts are looked for.
    """

    def __init__(self, letters: set[str]) -> None:
        super().__init__(format="A4")
        self.name, self.first = "", 1  # of the sheet that is being written: its name and first page
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(True, MARGIN)
        self.c_margin = 0
        self.alias_nb_pages(None)  # it would replace {nb} in the text
        folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        for (family, style), file in FONTS.items():
            self.add_font(family, style, folder / file)
        own = [letters_of(folder / FONTS[family, ""]) for family in ("text", "mono")]
        self.letters = set().union(*own)
        others = fonts_with(letters - self.letters - {"\n", "\t"})
        for path in others:
            self.add_font(path, "", path)
            self.letters |= letters_of(Path(path))
        self.set_fallback_fonts(["text", "mono", *others], exact_match=False)

    def footer(self) -> None:
        """The sheet's name, and which of its pages this is."""
        text = f"{shortened(self.name, LONGEST_NAME)}, page {self.page - self.first + 1}"
        self.set_y(-12)
        self.set_font("text", size=8)
        self.cell(0, LINE, ordered(text), align="C")

    def begin(self, name: str) -> None:
        """Begin a sheet on the front of a leaf, in case that both sides are printed."""
        if self.page % 2:
            self.add_page()
        self.add_page()
        self.name, self.first = self.shown(name), self.page
        self.start_section(name)
        self.put(self.rows(Row(name, style="B", size=14)))
        self.set_font("text", size=9)
        self.ln(GAP)
        for label, width in (("Date", 30.0), ("Examiner", 60.0), ("Points", 20.0)):
            self.cell(self.get_string_width(f"{label} "), LINE, label)
            self.cell(width, LINE, border="B")
            self.cell(INDENT, LINE)
        self.ln(LINE + GAP)

    def ask(self, number: int, question: Question, marked: bool) -> None:
        """Write a question with its answers and room for notes, on one page if it fits.

        Args:
            marked: the right answer is bold and underlined.
        """
        asked, code, answers = self.rows(Row(question.text, f"{number}.")), [], []
        for line in question.code.split("\n") if question.code else ():
            place, _, text = line.lstrip().partition("  ")
            text = shortened(text, LONGEST_LINE)
            code += self.rows(Row(text, place, "mono", "", SMALL, INDENT, is_code=True))
        lines_of_code = question.kind == "label"
        font = ("mono", "", SMALL) if lines_of_code else ("text", "", SIZE)
        for index, answer in enumerate(question.answers):
            row = Row(answer, f"{'ABCD'[index]})", *font, INDENT)
            right = marked and index == question.key
            answers += self.rows(replace(row, style="BU") if right else row)
        pictures = PICTURE + LINE + GAP if question.pictures else 0
        height = LINE * len(asked + code + answers) + pictures + RULES * RULE + 5 * GAP
        self.ln(GAP)
        self.make_room(height)
        for part in filter(None, (asked, code)):
            self.put(part)
            self.ln(GAP)
        if question.pictures:
            self.show(question)
        self.put(answers)
        self.rule()

    def show(self, question: Question) -> None:
        """The pictures of a question beside one another, each above its name."""
        self.make_room(PICTURE + LINE)
        top = self.y
        self.set_font("text", size=SIZE)
        for index, picture in enumerate(question.pictures):
            left = self.l_margin + 2 * INDENT + index * (PICTURE + INDENT)
            self.image(io.BytesIO(png(picture)), left, top, PICTURE, PICTURE)
            self.set_xy(left, top + PICTURE)
            self.cell(PICTURE, LINE, question.answers[index])
        self.set_xy(self.l_margin, top + PICTURE + LINE + GAP)

    def rule(self) -> None:
        """Lines for notes, and a box for points."""
        self.make_room(RULES * RULE + GAP)
        left, right = self.l_margin + INDENT, self.w - self.r_margin
        top = self.y + GAP
        self.set_font("text", size=7)
        with self.local_context(draw_color=150, text_color=110):
            for index in range(1, RULES + 1):
                y = top + index * RULE
                self.line(left, y, right - POINTS - GAP, y)
            self.rect(right - POINTS, top, POINTS, RULES * RULE)
            for x, label in ((left, "Notes"), (right - POINTS + 1, "Points")):
                self.set_xy(x, top + 0.5)
                self.cell(POINTS, LINE, label)
        self.set_xy(self.l_margin, top + RULES * RULE + GAP)

    def make_room(self, height: float) -> None:
        """Begin a new page unless this height, in mm, is left on the current one."""
        if self.will_page_break(height) and self.y > self.t_margin + 2 * GAP:
            self.add_page()

    def rows(self, text: Row) -> list[Row]:
        """A text in rows that fit the page, of which the first has what is in front of it."""
        self.set_font(text.family, text.style, text.size)
        lines = self.multi_cell(
            self.epw - text.left - (INDENT if text.front else 0),
            LINE,
            self.shown(text.text),
            align="L",
            dry_run=True,
            output="LINES",
            wrapmode="CHAR" if text.family == "mono" else "WORD",
        )
        first, *others = lines or [""]
        below = " " if text.front else ""
        return [replace(text, text=first), *(replace(text, text=t, front=below) for t in others)]

    def put(self, rows: Iterable[Row]) -> None:
        """Write rows one below the other."""
        for row in rows:
            self.set_font(row.family, row.style.replace("U", ""), row.size)
            self.set_fill_color(242)
            self.set_x(self.l_margin + row.left)
            if row.front:
                self.cell(INDENT, LINE, row.front, fill=row.is_code)
            self.set_font(row.family, row.style, row.size)
            self.cell(0, LINE, ordered(row.text), fill=row.is_code, new_x="LMARGIN", new_y="NEXT")

    def shown(self, text: str) -> str:
        """The text with letters that no font has spelled out."""
        return "".join(
            letter if letter in self.letters else letter.encode("unicode_escape").decode()
            for letter in text.expandtabs(4)
        )


def shortened(text: str, most: int) -> str:
    """The text, with dots in place of what is beyond a number of letters."""
    return text if len(text) <= most else f"{text[:most]} ..."


def ordered(line: str) -> str:
    """A line with its letters from left to right, where some are read from right to left."""
    return line if line.isascii() else BidiParagraph(line).get_reordered_string()


def fonts_with(letters: set[str]) -> list[str]:
    """Files of this computer's fonts that together have most of these letters, or all."""
    found: list[str] = []
    candidates = sorted(map(str, findSystemFonts())) if letters else []
    while letters and candidates:
        best = max(candidates, key=lambda path: len(letters & letters_of(Path(path))))
        has = letters & letters_of(Path(best))
        candidates.remove(best)
        if not has:
            break
        if can_embed(best, has):
            found.append(best)
            letters = letters - has
    return found


def can_embed(path: str, letters: set[str]) -> bool:
    """Whether fpdf2 can write these letters in a font."""
    with contextlib.suppress(Exception):  # fpdf2 and fontTools raise many kinds
        trial = FPDF()
        trial.add_page()
        trial.add_font("trial", "", path)
        trial.set_font("trial")
        trial.write(text="".join(sorted(letters)))
        trial.output()
        return True
    return False


@cache
def letters_of(path: Path) -> frozenset[str]:
    """All letters that a font file has an outline of; none if it cannot be read."""
    try:
        with TTFont(path, fontNumber=0, lazy=True) as font:
            return frozenset(map(chr, font.getBestCmap() or ()))
    except Exception:  # fontTools raises many kinds
        return frozenset()

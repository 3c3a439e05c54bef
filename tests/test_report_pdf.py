"""The report: writeup/make_report.py makes a PDF of report.md, and report.tex asks the same."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import zip_submission
from PIL import Image

from helpers.files import ROOT
from helpers.scripts import assert_refused, run_script

SCRIPT = ROOT / "writeup" / "make_report.py"
PDF_REASON = "make_report.py needs requirements/report.txt"
POINTS = re.compile(r"\((\d+) points?\b( each)?")


@pytest.fixture
def writeup(tmp_path):
    """An empty folder for a report; skips where the packages for PDFs are missing."""
    pytest.importorskip("fpdf", reason=PDF_REASON)
    pytest.importorskip("markdown_it", reason=PDF_REASON)
    folder = tmp_path / "home work" / "writeup"
    folder.mkdir(parents=True)
    return folder


def make(folder: Path, text: str | bytes, *args: object) -> subprocess.CompletedProcess:
    """Write text to report.md in a folder; what running the script on it gives, in this process."""
    source = folder / "report.md"
    source.write_bytes(text.encode() if isinstance(text, str) else text)
    return call(source, *args)


def call(*args: object) -> subprocess.CompletedProcess:
    """What running the script with these arguments gives, in this process."""
    from writeup import make_report

    out, err = io.StringIO(), io.StringIO()
    argv = [str(SCRIPT), *map(str, args)]
    with (
        mock.patch.object(sys, "argv", argv),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = make_report.main()
        except SystemExit as end:  # of argparse
            code = end.code
    return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())


@pytest.fixture
def drawn(monkeypatch):
    """The formulas that the script draws from now on: source, x, width, baseline, all in mm."""
    from writeup import make_report

    found: list[tuple[str, float, float, float]] = []
    draw = make_report.Report.draw

    def watched(self, piece, baseline):
        found.append((piece.text, self.x, piece.width, baseline))
        draw(self, piece, baseline)

    monkeypatch.setattr(make_report.Report, "draw", watched)
    return found


def read(folder: Path):
    """The pages of report.pdf as pypdf has them, and all text without line breaks."""
    pypdf = pytest.importorskip("pypdf", reason="pypdf reads the PDF back")
    pages = pypdf.PdfReader(folder / "report.pdf").pages
    return pages, " ".join(" ".join(page.extract_text() for page in pages).split())


def source_of(folder: Path, text: str) -> Path:
    """A report.md with this text."""
    (folder / "report.md").write_text(text, encoding="utf-8")
    return folder / "report.md"


def picture(path: Path, size: tuple[int, int] = (60, 30), color: str = "red") -> None:
    """Write a picture in one colour."""
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, color).save(path)


def sections(text: str, pattern: str) -> list[str]:
    """The titles of a template's numbered sections, with their points."""
    return re.findall(pattern, text, re.MULTILINE)


def template(starter: dict[str, bytes], name: str) -> str:
    """The text of a template as students get it."""
    return starter[f"writeup/{name}"].decode("utf-8")


def test_the_template_becomes_a_pdf_that_asks_every_question(writeup, starter):
    """All that the template says is in the PDF, no comment is, and nothing else is left behind."""
    text = template(starter, "report.md")
    process = run_script(SCRIPT, source_of(writeup, text), PYTHONIOENCODING="utf-8")
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    assert (writeup / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert sorted(os.listdir(writeup)) == ["report.md", "report.pdf"]
    _, shown = read(writeup)
    for line in re.sub(r"(?s)<!--.*?-->|\$\$.*?\$\$", "", text).splitlines():
        for words in re.sub(r"^(#+|-|\d\.) |[`|]|---", "", line).split("$")[::2]:
            assert " ".join(words.split()) in shown, words
    assert "<!--" not in shown
    assert "mnist_curve.png" not in shown


def test_the_pdf_of_the_template_counts_as_untouched(writeup, starter):
    """zip_submission.py counts the places for answers in both templates and in the PDF."""
    assert make(writeup, template(starter, "report.md")).returncode == 0
    content = (writeup / "report.pdf").read_bytes()
    number = zip_submission.ANSWERS
    phrases = (zip_submission.ANSWER, zip_submission.TEAM)
    assert zip_submission.count_in_pdf(content, *phrases) == [number, 1]
    for name in ("report.md", "report.tex"):
        text = re.sub(r"(?s)<!--.*?-->", "", template(starter, name))
        assert text.count(f"{zip_submission.ANSWER}.") == number
        assert text.count(zip_submission.TEAM) == 1
        assert zip_submission.is_untouched(text.encode())


def test_the_pdf_names_what_it_was_made_of(writeup):
    """zip_submission.py finds out when the text or a picture changed after the PDF was made."""
    picture(writeup / "a (b).png")
    assert make(writeup, "# R\n\n![](<a (b).png>)\n").returncode == 0
    survey = zip_submission.Survey(writeup.parent, writeup / "x.zip")
    assert list(zip_submission.check_age(survey)) == []
    picture(writeup / "a (b).png", color="blue")
    (writeup / "report.md").write_text("# R 2\n")
    assert len(list(zip_submission.check_age(survey))) == 2


FORMULAS = r"""# On $x_0$

Text $\sqrt{\bar\alpha_t} x_0$, then **bold $\epsilon$**, and $n$th.

$$
\frac{a}{b}
- c
= d
$$

Before $$e = f$$ after.

- item $\beta_t$
1. $\tfrac{1}{2}$

| $T$ | FID |
| --- | --- |
| $10^2$ | 1.5 |

> $\alpha$

![Loss at $t$](a.png)
"""


def test_formulas_are_drawn_everywhere(writeup, drawn):
    """In headings, text, lists, tables, quotes and captions; as outlines, with no dollar left."""
    picture(writeup / "a.png")
    process = make(writeup, FORMULAS)
    assert (process.returncode, process.stderr) == (0, "")
    displayed = "$$\n\\frac{a}{b}\n- c\n= d\n$$"
    first = ["$x_0$", r"$\sqrt{\bar\alpha_t} x_0$", r"$\epsilon$", "$n$", displayed, "$$e = f$$"]
    rest = [r"$\beta_t$", r"$\tfrac{1}{2}$", "$T$", "$10^2$", r"$\alpha$", "$t$"]
    assert [text for text, *_ in drawn] == first + rest
    (page,), shown = read(writeup)
    assert "$" not in shown
    for words in (
        "On ",
        "Text , then bold , and th.",
        "Before after.",
        "• item",
        "FID 1.5",
        "Loss at",
    ):
        assert words in shown, shown
    curves = []
    page.extract_text(visitor_operand_before=lambda op, args, cm, tm: curves.append(op))
    assert curves.count(b"c") > 200  # of letters, which are not text
    assert curves.count(b"Do") == 1  # the picture: no formula is a bitmap


def test_displayed_formulas_are_centred_and_others_stand_on_the_baseline(writeup, drawn):
    """One on a line of its own in the middle, others at the height of the text, and in its size."""
    text = "# $T$\n\n$T$\n\n$$T$$\n\nword $T$ word $\\dfrac{T}{T}$ end\n"
    assert make(writeup, text).returncode == 0
    (_, _, large, _), (_, left, small, _), (_, x, width, _), *inline = drawn
    assert large / small == pytest.approx(18 / 10)
    assert left == pytest.approx(20)
    assert x + width / 2 == pytest.approx(105, abs=0.01)
    (page,), _ = read(writeup)
    heights = {}
    page.extract_text(visitor_text=lambda text, cm, tm, *_: heights.update({text.strip(): tm[5]}))
    for *_, baseline in inline:
        assert (297 - baseline) * 72 / 25.4 == pytest.approx(heights["word"], abs=0.05)
    assert heights["word"] == heights["end"]


def test_lines_break_around_formulas_and_nothing_leaves_the_page(writeup, drawn):
    """Formulas and the comma behind one stay together; what is wider than the page is shrunk."""
    sum_of_many = " + ".join(f"a_{{{i}}}" for i in range(50))
    rows = f"| {'word ' * 60} | ${sum_of_many}$ |\n" * 3
    text = f"{'$x_t$, ' * 60}\n\n$${sum_of_many}$$\n\n{'letters' * 40}\n\n| a | b |\n|-|-|\n{rows}"
    assert make(writeup, text).returncode == 0
    assert len(drawn) == 64
    for _, x, width, baseline in drawn:
        assert 20 <= x <= x + width <= 190.01
        assert 20 <= baseline <= 277
    rights = [x + width for text, x, width, _ in drawn[:60]]
    assert max(rights) < 189.2  # the comma fits too


MONEY = [
    "costs $5 and $10",
    r"\$x\$ and \$y\$",
    "$5-$10",
    "$5 or A$ 6",
    "a $ b $ c",
    "100$",
    "`$x_t$`",
    "$\n\nx$",
    "```\n$$x$$\n```",
    "    $x$",
]


@pytest.mark.parametrize("text", MONEY)
def test_dollars_that_are_no_formula_stay(writeup, drawn, text):
    """Prices, escaped dollars, single ones, and all in code are shown as they are."""
    process = make(writeup, f"# R\n\n{text}\n")
    assert (process.returncode, process.stderr) == (0, "")
    assert drawn == []
    _, shown = read(writeup)
    plain = text.replace("\\$", "$").replace("`", "")
    assert " ".join(plain.split()) in shown


def test_tex_that_matplotlib_does_not_know_is_shown_as_typed(writeup, drawn):
    """Each such formula is named once, with its line; the others are drawn all the same."""
    text = "# R\n\na $x$\n$\\nosuch$ and $\\nosuch$ again\n\n"
    text += "$$\n\\begin{align} a \\end{align}\n$$\n\n$\\text{数}$\n"
    process = make(writeup, text)
    assert process.returncode == 0
    notes = process.stderr.splitlines()
    expected = [("line 4", "$\\nosuch$"), ("line 6", "$$ \\begin{align} a \\end{align} $$")]
    expected += [("line 10", "$\\text{数}$")]
    for (line, formula), note in zip(
        expected, [n for n in notes if "no font" not in n], strict=True
    ):
        assert f"report.md, {line}: matplotlib cannot draw {formula}," in note
    assert [formula for formula, *_ in drawn] == ["$x$"]
    assert "$\\nosuch$ and $\\nosuch$ again" in read(writeup)[1]


def test_pictures_are_embedded_and_fit_the_page(writeup):
    """Wide, high and tiny pictures, from writeup/ and ../results/, all lie within the margins."""
    picture(writeup / "wide.png", (3000, 100))
    picture(writeup / "high one.png", (50, 900), "green")
    picture(writeup.parent / "results" / "tiny.jpg", (4, 4), "blue")
    text = "# R\n\n![Wide](wide.png)\n\n![High](<high one.png>)\n![Tiny](../results/tiny.jpg)\n\n"
    text += "| a | b |\n| --- | --- |\n| ![](wide.png) | text |\n"
    assert make(writeup, text).returncode == 0
    pages, shown = read(writeup)
    assert "Wide" in shown
    places = []
    for page in pages:
        page.extract_text(
            visitor_operand_before=lambda op, args, cm, tm: places.append(cm) if op == b"Do" else 0
        )
    assert len(places) == 4
    millimetre = 72 / 25.4
    for width, _, _, height, x, y in places:
        assert 19.9 * millimetre <= x <= x + width <= 190.1 * millimetre
        assert 19.9 * millimetre <= y <= y + height <= 277.1 * millimetre
    assert places[0][0] == pytest.approx(170 * millimetre, abs=1)
    assert {image.image.getpixel((1, 1)) for page in pages for image in page.images} >= {
        (255, 0, 0),
        (0, 128, 0),
    }


def test_text_of_all_kinds_comes_through(writeup):
    """Names with accents, formulas, code, nested lists and text beside a comment are all shown."""
    text = """\
# Élan — Žižek, Ελένη, Иван

<!-- hidden --> kept $\\epsilon_\\theta(x_t, t) = \\{a*b*c\\}$ and costs $5 or $6 <!-- gone -->

3. third **bold `code_x`** [link](https://example.org)
   - nested
   -
4. fourth

   ```
   for i in range(3):  # <!-- not a comment -->
   ```

> quote<br>broken

| left | right |
| :--- | ----: |
| `cell` | 1.5 |

### deep

%s
"""
    process = make(writeup, text % "\n\n".join(["much text " * 60] * 20))
    assert process.returncode == 0, process.stderr
    pages, shown = read(writeup)
    assert len(pages) > 1
    for words in (
        "Élan — Žižek, Ελένη, Иван",
        "kept and costs $5 or $6",
        "3. third bold code_x link",
        "• nested",
        "4. fourth",
        "# <!-- not a comment -->",
        "quote broken",
        "cell 1.5",
    ):
        assert words in shown, words
    assert "hidden" not in shown
    assert "gone" not in shown


def test_letters_without_a_font_are_named_and_a_font_for_them_is_used(writeup):
    """Letters that no font has are named, not lost in silence; --font brings them into the PDF."""
    import matplotlib

    letter = "\U0001d504"  # a Fraktur A: in STIX, not in DejaVu Sans
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    process = make(writeup, f"# {letter} alone", "--font", fonts / "DejaVuSerif-Bold.ttf")
    assert process.returncode == 0
    assert process.stderr.startswith(f"note: no font here has {letter}, which the PDF will lack")
    process = make(writeup, f"# {letter} alone", "--font", fonts / "STIXGeneral.ttf")
    assert (process.returncode, process.stderr) == (0, "")
    assert f"{letter} alone" in read(writeup)[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# R\n\ntext\n![Curve](curve.png)\n", ("report.md, line 4:", "no picture curve.png")),
        ("# R\n\n| a |\n| - |\n| x |\n| ![](no.png) |\n", ("line 6:", "no picture no.png")),
        ("![](report.md)\n", ("line 1:", "report.md is damaged, or not a PNG or JPEG")),
        ("\n![](https://example.org/a.png)\n", ("line 2:", "is not a file; save the picture")),
        ('a\n\n<img src="a.png">\n', ("line 3:", "HTML such as <img")),
        ('a\nb <img src="a.png">\n', ("line 2:", "HTML such as <img")),
        ("a\n\n<!-- b\n\n# c\n", ("line 3:", "a comment begins here and never ends")),
        ("a\n\n| b |\n|-|\n| " + "c " * 9000, ("line 3:", "a row that is higher than a page")),
        (b"# R\xe9sum\xe9\n", ("report.md is not UTF-8 text",)),
    ],
)
def test_what_cannot_be_shown_is_refused_with_its_line(writeup, text, words):
    """One sentence with file and line, exit code 2; the older PDF stays, nothing else is left."""
    (writeup / "report.pdf").write_bytes(b"older")
    process = make(writeup, text)
    assert_refused(process, *words)
    assert len(process.stderr.splitlines()) == 1
    assert (writeup / "report.pdf").read_bytes() == b"older"
    assert sorted(os.listdir(writeup)) == ["report.md", "report.pdf"]


def test_a_missing_file_and_a_wrong_output_are_refused(writeup):
    """A report that is not there, and an output that would overwrite the Markdown, are refused."""
    assert_refused(call(writeup / "none.md"), "No such file", "none.md")
    assert_refused(make(writeup, "# R", "--out", writeup / "report.md"), "must be a file that ends")
    assert_refused(make(writeup, "# R", "--out", writeup / "no" / "x.pdf"), "no does not exist")
    (writeup / "x.pdf").mkdir()
    done = make(writeup, "# R", "--out", writeup / "x.pdf")
    assert_refused(done, "x.pdf cannot be written (Is a directory)")
    assert (writeup / "report.md").read_text() == "# R"


@pytest.mark.parametrize("args", [["none\x1b[31m.md"], ["--out", "a\x1b[31m"], ["--a\x1b[31m"]])
def test_names_cannot_drive_the_terminal(writeup, args):
    """Control characters of the command line are spelled out in errors of all kinds."""
    process = call(*args)
    assert process.returncode == 2
    assert "\\x1b[31m" in process.stderr
    assert "\x1b" not in process.stderr


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path):
    """Without its packages the script says in one sentence which one to install, and how."""
    shutil.copy(SCRIPT, tmp_path)
    process = subprocess.run(
        [sys.executable, "-I", "-S", tmp_path / "make_report.py"],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert_refused(process, "is missing", "pip install -r requirements.txt -r requirements/report")
    assert len(process.stderr.splitlines()) == 1


def test_both_templates_ask_the_same(starter):
    """report.md and report.tex have the same numbered sections, questions, formulas and points."""
    tex, markdown = template(starter, "report.tex"), template(starter, "report.md")
    tex = re.sub(r"\\\[(.*)\\\]", r"\1", tex)
    titles = sections(markdown, r"^## \d+\. (.+)$")
    assert len(titles) == 5
    assert sections(tex, r"^\\section\{(.+)\}$") == titles
    pictures = sections(markdown, r"\]\((\S+\.png)\)")
    assert sections(tex, r"^% .*\\includegraphics\[.*?\]\{(.+?)\}") == pictures
    body = tex.split(r"\midrule")[1].replace(r"\_", "_")
    body = re.sub(r"\\texttt\{(.*?)\}", r"\1", body).replace("$", "")
    for line in re.sub(r"(?s)<!--.*?-->|[`$]", "", markdown).splitlines():
        words = re.sub(r"^(#+|-)? ?(\d\. )?", "", line).strip()
        if "|" not in words and not words.startswith(("Team", "Diffusion models: report")):
            assert words in body, words


@pytest.mark.parametrize(
    ("name", "section"), [("report.md", r"^## \d+\. "), ("report.tex", r"^\\section\{")]
)
def test_the_points_add_up(starter, name, section):
    """12 points and 16 of bonus, and the parts of a section add up to the section's points."""
    points = bonus = 0
    for part in re.split(f"(?m){section}", template(starter, name))[1:]:
        (number, each), *parts = POINTS.findall(part)
        items = len(re.findall(r"(?m)^\s*(?:-|\\item) ", part))
        bonus += int(number) * items if each else 0
        points += 0 if each else int(number)
        assert not parts or sum(int(part) for part, _ in parts) == int(number)
    assert (points, bonus) == (12, 16)

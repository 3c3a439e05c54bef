"""The report: writeup/make_report.py makes a PDF of report.md, and report.tex asks the same."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, assert_refused, call_program, run_script
from PIL import Image

SCRIPT = ROOT / "writeup" / "make_report.py"
PDF_REASON = "make_report.py needs requirements-report.txt"
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
    """Write text to report.md in a folder and run the script on it."""
    source = folder / "report.md"
    source.write_bytes(text.encode() if isinstance(text, str) else text)
    return call_program(SCRIPT, source, *args)


def read(folder: Path):
    """The pages of report.pdf as pypdf has them, and all text without line breaks."""
    pypdf = pytest.importorskip("pypdf", reason="pypdf reads the PDF back")
    pages = pypdf.PdfReader(folder / "report.pdf").pages
    return pages, " ".join(" ".join(page.extract_text() for page in pages).split())


def picture(path: Path, size: tuple[int, int] = (60, 30), color: str = "red") -> None:
    """Write a picture in one colour."""
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, color).save(path)


def sections(text: str, pattern: str) -> list[str]:
    """The titles of a template's numbered sections, with their points."""
    return re.findall(pattern, text, re.MULTILINE)


def template(name: str) -> str:
    """The text of a template."""
    return (ROOT / "writeup" / name).read_text(encoding="utf-8")


def test_the_template_becomes_a_pdf_that_asks_every_question(writeup):
    """All that the template says is in the PDF, no comment is, and nothing else is left behind."""
    text = template("report.md")
    process = make(writeup, text)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    assert (writeup / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert sorted(os.listdir(writeup)) == ["report.md", "report.pdf"]
    _, shown = read(writeup)
    for line in re.sub(r"(?s)<!--.*?-->", "", text).splitlines():
        words = " ".join(re.sub(r"^(#+|-|\d\.) |[`|]|---", "", line).split())
        assert words in shown, words
    assert "<!--" not in shown
    assert "mnist_curve.png" not in shown


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
        "kept $\\epsilon_\\theta(x_t, t) = \\{a*b*c\\}$ and costs $5 or $6",
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
        ("![](report.md)\n", ("line 1:", "report.md is damaged or no PNG or JPEG")),
        ("\n![](https://example.org/a.png)\n", ("line 2:", "is no file; save the picture")),
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
    assert_refused(run_script(SCRIPT, writeup / "none.md"), "No such file", "none.md")
    assert_refused(make(writeup, "# R", "--out", writeup / "report.md"), "must be a file that ends")
    assert (writeup / "report.md").read_text() == "# R"


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path):
    """Without its packages the script says in one sentence which one to install, and how."""
    shutil.copy(SCRIPT, tmp_path)
    process = subprocess.run(
        [sys.executable, "-I", "-S", tmp_path / "make_report.py"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert_refused(process, "is missing", "pip install -r requirements.txt -r requirements-report")
    assert len(process.stderr.splitlines()) == 1


def test_both_templates_ask_the_same():
    """report.md and report.tex have the same numbered sections, questions and points."""
    tex, markdown = template("report.tex"), template("report.md")
    titles = sections(markdown, r"^## \d+\. (.+)$")
    assert len(titles) == 5
    assert sections(tex, r"^\\section\{(.+)\}$") == titles
    pictures = sections(markdown, r"\]\((\S+\.png)\)")
    assert sections(tex, r"^% .*\\includegraphics\[.*?\]\{(.+?)\}") == pictures
    body = tex.split(r"\midrule")[1].replace(r"\_", "_")
    body = re.sub(r"\\texttt\{(.*?)\}", r"\1", body).replace("$", "")
    for line in re.sub(r"(?s)<!--.*?-->|`", "", markdown).splitlines():
        words = re.sub(r"^(#+|-)? ?(\d\. )?", "", line)
        if "|" not in words and not words.startswith(("Team", "Diffusion models: report")):
            assert words in body, words


@pytest.mark.parametrize(
    ("name", "section"), [("report.md", r"^## \d+\. "), ("report.tex", r"^\\section\{")]
)
def test_the_points_add_up(name, section):
    """12 points and 16 of bonus, and the parts of a section add up to the section's points."""
    points = bonus = 0
    for part in re.split(f"(?m){section}", template(name))[1:]:
        (number, each), *parts = POINTS.findall(part)
        items = len(re.findall(r"(?m)^\s*(?:-|\\item) ", part))
        bonus += int(number) * items if each else 0
        points += 0 if each else int(number)
        assert not parts or sum(int(part) for part, _ in parts) == int(number)
    assert (points, bonus) == (12, 16)

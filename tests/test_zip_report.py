"""zip_submission.py on the report: the template, phrases in a PDF, an outdated one."""

import hashlib
import os
import zipfile
import zlib

import pytest
import zip_submission

from helpers.packing import pack, refused, warnings, write


def page(text: bytes, packed: bool = True) -> bytes:
    """A stream of a PDF."""
    data = zlib.compress(text) if packed else text
    return b"1 0 obj\n<</Length %d>>\nstream\n%s\nendstream\nendobj\n" % (len(data), data)


def pdf(*texts: bytes, packed: bool = True) -> bytes:
    """As much of a PDF as the checks look at."""
    return b"%PDF-1.5\n" + b"".join(page(text, packed) for text in texts) + b"%%EOF\n"


LATEX = rb"BT /F8 9.96 Tf 72 700 Td [(Y)83(our)-333(answ)28(er)-333(here.)]TJ ET "
SUBSET = b"/F1 Tf <00010002> Tj <0003> Tj BT (\\000\\004\\000\\005) Tj ET "
LETTERS = (
    b"2 beginbfchar <0001> <0059006f0075> <0002> <0072> endbfchar "
    b"1 beginbfrange <0003> <0003> <0061> endbfrange "
    b"1 beginbfrange <0004> <0005> [<006e0073007700650072> <0068006500720065>] endbfrange"
)


@pytest.mark.parametrize(
    ("report", "count"),
    [
        (pdf(LATEX * 3), 3),
        (pdf(LATEX, LATEX * 2, packed=False), 3),
        (pdf(SUBSET * 2, LETTERS, LATEX), 3),
        (pdf(b"(Your \\(answer\\) here) Tj"), 0),
        (pdf(b"BT (A report) Tj ET"), 0),
        (b"%PDF-1.7", 0),
        (b"%PDF- stream\n\x78\x9c broken endstream", 0),
    ],
    ids=["LaTeX", "not packed", "numbered letters", "other", "none", "empty", "damaged"],
)
def test_phrases_in_a_pdf(report, count):
    """A phrase is counted in packed and plain streams, in letters as LaTeX and fpdf2 write them."""
    assert zip_submission.count_in_pdf(report, zip_submission.ANSWER) == [count]


def test_a_pdf_made_to_keep_the_reader_busy(monkeypatch):
    """What a hostile PDF may hold is read up to limits, and in a time that grows with its size."""
    monkeypatch.setattr(zip_submission, "MAX_UNPACKED", 300_000)
    bomb = page(b"()" * 1_000_000)
    for content in (
        b"stream\n" * 300_000,
        bomb * 3,
        page(b"beginbfchar" * 200_000),
        page(b"Tj " + b"(" * 200_000),
        page(b"Tj (" + b"\\(" * 100_000),
        page(b"beginbfrange" + b"[" * 200_000),
        page(b"beginbfrange" + b"<0000><ffffffff><0000>" * 9_000),
        page(b"beginbfrange<0000><ffffffff><0000>") * 2_000,
        page(b"beginbfrange<0000><ffffffff><" + b"0041" * 50_000 + b">"),
    ):
        assert zip_submission.count_in_pdf(content, "x") == [0]
    assert len(list(zip_submission.pdf_streams(bomb * 3))) == 1


def test_the_template_as_report_asks_for_force(team):
    """A PDF with all the template's placeholders is refused; some that are left are a warning."""
    write(team, {"writeup/report.pdf": pdf(LATEX * zip_submission.ANSWERS)})
    refused(team, "writeup/report.pdf is the template; answer its questions")
    assert pack(team, "--force").returncode == 0
    assert "PROBLEMS.txt" not in zipfile.ZipFile(team / "submission.zip").namelist()
    write(team, {"writeup/report.pdf": pdf(LATEX * 2, b"(Team: name of your team) Tj")})
    first, second = warnings(team)
    assert first.startswith("writeup/report.pdf still says 'Your answer here' in 2 places")
    assert second.startswith("writeup/report.pdf still says 'Team: name of your team'")
    write(team, {"writeup/report.pdf": pdf(LATEX * zip_submission.ANSWERS)})
    write(team, {"writeup/final.pdf": pdf(b"(all answered) Tj")})
    (warning,) = warnings(team)
    assert warning.startswith("writeup/report.pdf is the template; ")


def test_a_report_older_than_its_source(team):
    """The source's content decides where the PDF names it, otherwise the times; templates stay."""
    source, report = team / "writeup" / "report.md", team / "writeup" / "report.pdf"
    digest = hashlib.sha256(b"# New").hexdigest()[:16]
    write(team, {"writeup/report.md": "# New", "writeup/a b.png": "pixels"})
    made_of = f"report.md={digest} a%20b.png={hashlib.sha256(b'pixels').hexdigest()[:16]}"
    report.write_bytes(b"%%PDF-1.7\n/Keywords (made of %s)\n%%%%EOF" % made_of.encode())
    os.utime(report, (1e9, 1e9))
    assert warnings(team) == []
    write(team, {"writeup/report.md": "# Newer", "writeup/a b.png": "other pixels"})
    assert warnings(team) == [
        f"writeup/report.pdf was made before {name} was changed; make it again with `make report`"
        for name in ("report.md", "a b.png")
    ]
    report.write_bytes(b"%PDF-1.7 by another program\n%%EOF")
    for seconds, number in ((1e9, 1), (2e9, 0)):
        os.utime(report, (seconds, seconds))
        assert len(warnings(team)) == number
    os.utime(report, (1e9, 1e9))
    source.write_text(f"{zip_submission.ANSWER}\n" * zip_submission.ANSWERS)
    assert warnings(team) == []
    report.write_bytes(b"%PDF-1.7 cut")
    assert "has no end" in warnings(team)[0]

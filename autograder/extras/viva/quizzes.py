"""Writes questions as quizzes: GIFT for Moodle, and QTI 1.2 for Canvas."""

import base64
import hashlib
import html
import re
import zlib
from collections.abc import Iterable
from struct import pack

import numpy as np

from autograder.extras.viva.questions import Question, Sheet
from autograder.output.zips import zipped
from autograder.text import one_line

SCALE = 6  # factor by which pictures are enlarged in a quiz
MANIFEST = """<?xml version="1.0" encoding="UTF-8"?>
<manifest identifier="viva" xmlns="http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1">
<metadata><schema>IMS Content</schema><schemaversion>1.1.3</schemaversion></metadata>
<organizations/>
<resources>
{resources}
</resources>
</manifest>
"""
ASSESSMENT = """<?xml version="1.0" encoding="UTF-8"?>
<questestinterop xmlns="http://www.imsglobal.org/xsd/ims_qtiasiv1p2">
<assessment ident="{ident}" title="{title}">
<section ident="root_section">
{items}
</section>
</assessment>
</questestinterop>
"""
ITEM = """<item ident="{ident}" title="{title}">
<itemmetadata><qtimetadata>
<qtimetadatafield><fieldlabel>question_type</fieldlabel>\
<fieldentry>multiple_choice_question</fieldentry></qtimetadatafield>
<qtimetadatafield><fieldlabel>points_possible</fieldlabel>\
<fieldentry>1.0</fieldentry></qtimetadatafield>
</qtimetadata></itemmetadata>
<presentation>
<material><mattext texttype="text/html">{text}</mattext></material>
<response_lid ident="response1" rcardinality="Single"><render_choice>
{answers}
</render_choice></response_lid>
</presentation>
<resprocessing>
<outcomes><decvar maxvalue="100" minvalue="0" varname="SCORE" vartype="Decimal"/></outcomes>
<respcondition continue="No">
<conditionvar><varequal respident="response1">{key}</varequal></conditionvar>
<setvar action="Set" varname="SCORE">100</setvar>
</respcondition>
</resprocessing>
</item>"""
ANSWER = (
    '<response_label ident="{ident}"><material><mattext texttype="text/plain">{text}</mattext>'
    "</material></response_label>"
)


def gift(sheets: Iterable[Sheet]) -> str:
    """All sheets in Moodle's GIFT; each submission is a category of the question bank.

    https://docs.moodle.org/en/GIFT_format
    """
    blocks = []
    for sheet in sheets:
        blocks.append(f"$CATEGORY: viva/{escaped(title_of(sheet).replace('/', '-'))}\n")
        for number, question in enumerate(sheet.questions, 1):
            answers = "\n".join(
                f"\t{'=' if place == question.key else '~'}{escaped(html.escape(answer))}"
                for place, answer in enumerate(question.answers)
            )
            name = escaped(f"{title_of(sheet)} {number}")
            blocks.append(f"::{name}::[html]{escaped(as_html(question))}{{\n{answers}\n}}\n")
    return "\n".join(blocks)


def escaped(text: str) -> str:
    """A text for GIFT: on one line, with a backslash before special characters."""
    return re.sub(r"([~=#{}:\\])", r"\\\1", text).replace("\n", "\\n")


def qti(sheets: Iterable[Sheet]) -> bytes:
    """A zip of QTI 1.2 with a quiz for each submission.

    https://canvas.instructure.com/doc/api/file.quiz_imports.html
    """
    files: dict[str, str] = {}
    for sheet in sheets:
        ident = "q" + hashlib.sha256(sheet.submission.encode(errors="replace")).hexdigest()[:12]
        items = []
        for number, question in enumerate(sheet.questions, 1):
            answers = "\n".join(
                ANSWER.format(ident=f"a{place}", text=html.escape(answer))
                for place, answer in enumerate(question.answers)
            )
            values = {"ident": f"{ident}-{number}", "title": f"Question {number}"}
            text = html.escape(as_html(question))
            items.append(ITEM.format(**values, text=text, answers=answers, key=f"a{question.key}"))
        title = html.escape(f"viva: {title_of(sheet)}")
        text = ASSESSMENT.format(ident=ident, title=title, items="\n".join(items))
        files[f"{ident}/{ident}.xml"] = text
    resources = [
        f'<resource identifier="{name.split("/")[0]}" type="imsqti_xmlv1p2">'
        f'<file href="{name}"/></resource>'
        for name in files
    ]
    files["imsmanifest.xml"] = MANIFEST.format(resources="\n".join(resources))
    return zipped({name: text.encode("utf-8") for name, text in files.items()})


def title_of(sheet: Sheet) -> str:
    """A submission's name in a quiz."""
    return one_line(sheet.team or sheet.submission)


def as_html(question: Question) -> str:
    """A question without its answers, as HTML."""
    found = f"<p>{html.escape(question.text)}</p>"
    if question.code:
        found += f"<pre>{html.escape(question.code)}</pre>"
    for answer, picture in zip(question.answers, question.pictures, strict=False):
        name = html.escape(answer)
        found += f'<p>{name}<br><img alt="{name}" src="{data(picture)}"></p>'
    return found


def data(picture: np.ndarray) -> str:
    """A picture as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode()}"


def png(picture: np.ndarray) -> bytes:
    """A greyscale PNG of a picture, uint8 [H, W], enlarged by SCALE."""
    large = picture.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    height, width = large.shape
    rows = b"".join(b"\0" + row.tobytes() for row in large)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return pack(">I", len(body)) + kind + body + pack(">I", zlib.crc32(kind + body))

    head = pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body

"""Quizzes read back by the rules of Moodle's GIFT and of QTI 1.2, which Canvas imports."""

import html
import io
import re
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import dataclass

QTI = "{http://www.imsglobal.org/xsd/ims_qtiasiv1p2}"


@dataclass
class Asked:
    """One question: its answers, and the place of the right one."""

    answers: list[str]
    key: int


def read_gift(text: str) -> list[Asked]:
    """The questions of a file in GIFT, whose signs are escaped where they are text."""
    found = []
    blocks = re.findall(r"^::.*?(?<!\\)::\[html\](.*?)(?<!\\)\{\n(.*?)\n\}$", text, re.M | re.S)
    assert len(blocks) == len(re.findall(r"^::", text, re.M))
    for words, answers in blocks:
        assert "\n" not in words
        assert not re.search(r"(?<!\\)[~=#{}]", words.replace("\\\\", ""))
        lines = [re.sub(r"\\(.)", r"\1", line.strip()) for line in answers.split("\n")]
        (key,) = [place for place, line in enumerate(lines) if line[0] == "="]
        assert all(line[0] == "~" for line in lines[:key] + lines[key + 1 :])
        found.append(Asked([html.unescape(line[1:]) for line in lines], key))
    return found


def read_qti(content: bytes) -> list[list[Asked]]:
    """The quizzes of a zip that its manifest names, a list of questions each."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        manifest = ET.fromstring(archive.read("imsmanifest.xml"))
        files = [node.get("href") for node in manifest.iter() if node.tag.endswith("}file")]
        quizzes = [ET.fromstring(archive.read(str(name))) for name in files]
        assert sorted([*map(str, files), "imsmanifest.xml"]) == sorted(archive.namelist())
    return [[_item(item) for item in quiz.iter(f"{QTI}item")] for quiz in quizzes]


def _item(item: ET.Element) -> Asked:
    labels = list(item.iter(f"{QTI}response_label"))
    (key,) = item.iter(f"{QTI}varequal")
    places = [label.get("ident") for label in labels]
    return Asked(["".join(label.itertext()).strip() for label in labels], places.index(key.text))

"""What texts that go out refer to: files, folders, links and targets that students must have."""

import ast
import io
import json
import posixpath
import re
import tokenize
from collections.abc import Collection, Iterator

# A name of a file: folders, a stem, and an ending that files of this repository have.
ENDING = r"\.(?:py|md|ya?ml|ipynb|sh|toml|npz)\b"
NAME = re.compile(rf"(?<![\w./{{*-])((?:[\w.-]+/)*[\w-][\w.-]*{ENDING})")
FOLDER = re.compile(r"(?<![\w./-])((?:[\w-]+/)+)(?![\w*{<])")
LINK = re.compile(r"\]\((?!\w+:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]*))?\)")
LINE_NUMBER = re.compile(r"\.py, line \d+")
TARGET = re.compile(r"(?:`|^ {4,})make ([a-z][a-z-]*)")
WORTH_READING = re.compile(rf"{ENDING}|\w/|make ")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
WRITTEN_BY_RUNS = {"config.yaml"}


def find_dangling(starter: dict[str, bytes], stays: Collection[str]) -> list[str]:
    """What is wrong with the names of files in the starter's texts, as "FILE, line N: ...".

    Args:
        starter: {path: content}.
        stays: files of this branch that students do not get.

    A text may name a file by the end of its path, such as `metrics/fid.py`. It must not name a file
    or a folder that stays or that does not exist, or a target that the Makefile lacks, and a
    document must not give the number of a line. Links must lead to files and headings that exist.
    """
    folders = {folder for file in starter for folder in _parents(file)}
    private = {folder for file in stays for folder in _parents(file)} - folders
    here = _ends(starter) | _ends(folders)
    there = (_ends(stays) | _ends(private)) - here
    targets = re.findall(r"(?m)^([a-z-]+):", starter.get("Makefile", b"").decode("utf-8"))
    wrong = []
    for file in sorted(starter):
        lines = _lines(file, starter[file])
        found = [(at, what) for at, text in lines for what in _wrong(text, here, there, targets)]
        if found and file.endswith(".py"):  # in code, only comments and sentences are read
            read = dict(_prose(starter[file].decode("utf-8")))
            found = [(at, w) for at in read for w in _wrong(read[at], here, there, targets)]
        elif not file.endswith(".py"):  # a docstring may show the form of a message
            stale = "a line's number goes stale with the next edit"
            found += [(at, stale) for at, text in lines if LINE_NUMBER.search(text)]
        wrong += [f"{file}, line {at}: {what}" for at, what in found]
        if file.endswith(".md"):
            wrong += broken_links(file, starter)
    return wrong


def _wrong(text: str, here: set[str], there: set[str], targets: Collection[str]) -> Iterator[str]:
    """What is wrong with the names in one line."""
    if not WORTH_READING.search(text):  # most lines of code
        return
    names = [re.sub(r"^(\.\.?/)+", "", name) for name in NAME.findall(text)]
    for name in [*names, *(folder.rstrip("/") for folder in FOLDER.findall(text))]:
        if name in there:
            yield f"{name} is not part of the starter"
    for name in names:
        stem = name.split("/")[-1].split(".")[0]  # CONFIG.yaml means any config
        if not (name in here or name in there or name in WRITTEN_BY_RUNS or stem.isupper()):
            yield f"there is no file {name}"
    for target in TARGET.findall(text):
        if target not in targets:
            yield f"the starter has no `make {target}`"


def _parents(file: str) -> list[str]:
    """The folders around a file, innermost first."""
    parts = file.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in reversed(range(len(parts)))]


def _ends(paths: Collection[str]) -> set[str]:
    """Each path, and what is left of it without the first folders."""
    return {"/".join(p.split("/")[n:]) for p in paths for n in range(p.count("/") + 1)}


def _lines(file: str, content: bytes) -> list[tuple[int, str]]:
    """The numbered lines of a file, of a notebook those of its cells, of a picture none."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return []
    if file.endswith(".ipynb"):
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return list(enumerate(text.splitlines(), 1))


def _prose(code: str) -> Iterator[tuple[int, str]]:
    """The comments of a Python file, and its strings that hold a space, by line."""
    lines: dict[int, list[str]] = {}
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            lines.setdefault(token.start[0], []).append(token.string)
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, line in enumerate(node.value.splitlines()):
                lines.setdefault(node.lineno + offset, []).append(line)
    return ((at, " ".join(texts)) for at, texts in sorted(lines.items()))


def broken_links(file: str, starter: dict[str, bytes]) -> list[str]:
    """The links of a Markdown text to files and headings that are not there."""
    wrong = []
    text = COMMENT.sub(lambda c: "\n" * c[0].count("\n"), starter[file].decode("utf-8"))
    for at, line in enumerate(text.splitlines(), 1):
        for link in LINK.finditer(line):
            folder = posixpath.dirname(file)
            target = posixpath.normpath(posixpath.join(folder, link["path"]))
            target = target if link["path"] else file
            if target not in starter and not any(f.startswith(f"{target}/") for f in starter):
                wrong.append(f"{file}, line {at}: the link leads to {target}, which is not there")
            elif link["anchor"] and link["anchor"] not in anchors(starter[target].decode("utf-8")):
                wrong.append(f"{file}, line {at}: {target} has no heading #{link['anchor']}")
    return wrong


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a Markdown text."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", re.sub(r"(?ms)^```.*?^```", "", text), re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found[slug] = found.get(slug, 0) + 1
    return {f"{slug}-{n}" if n else slug for slug, count in found.items() for n in range(count)}

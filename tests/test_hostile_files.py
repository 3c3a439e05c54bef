"""Files that attack whoever opens them: each ends in one sentence, soon and in little memory.

Most of these took minutes or gigabytes where they were read without limits.
"""

import io
import os
import struct
import zlib

import pytest
from autograder import documents, text
from autograder.text import InputError
from PIL import Image

from helpers.files import any_name
from helpers.scripts import assert_refused, run_script
from libs.config import from_dict, load_config
from libs.data.captions import read_captions
from libs.data.image_folder import ImageFiles, good_files
from libs.runtime.documents import parse_json, read_yaml
from libs.runtime.pictures import MAX_PIXELS, BadPicture, opened
from libs.runtime.progress import say
from libs.text_to_image.draw import load_picture
from libs.utils import UserError, visible, visible_line

LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
YAML = {
    "nested aliases": (LAUGHS, "more than 10,000 values"),
    "nested merges": (MERGES, "more than 10,000 values"),
    "an alias of itself": ("a: &a [*a]", "contains itself"),
    "many values": ("- a\n" * 20_000, "more than 10,000 values"),
    "deep lists": ("[" * 50_000, "more than 32 levels"),
    "deep sections": ("{a: " * 20_000, "more than 32 levels"),
    "deep blocks": ("- " * 50_000, "more than 32 levels"),
    "large": ("#" * 300_000, "too large"),
    "keys that are not numbers": (".nan: 1\n.nan: 2", "must be text, found '.nan'"),
    "a number as a key": ("1: 2", "must be text, found '1'"),
    "nothing as a key": ("~: 2", "must be text, found '~'"),
    "a list as a key": ("? [a, b]\n: 1", "must be text, found a list"),
    "a section as a key": ("? {a: b}\n: 1", "must be text, found a list or section"),
    "a key twice": ("seed: 1\nseed: 2", "'seed' appears twice"),
    "a long number": (f"seed: {'9' * 100_000}", "more than 300 digits"),
    "a long number in parts": (f"seed: 1{':59' * 60_000}", "more than 300 digits"),
    "no number": ("seed: !!int x", "impossible int 'x'"),
    "no truth": ("seed: !!bool x", "impossible bool 'x'"),
    "no date": ("seed: 2024-13-45", "impossible date '2024-13-45'"),
    "an object": ("a: !!python/object/apply:os.system [ls]", "is not allowed here"),
    "a set": ("a: !!set {b}", "is not allowed here"),
    "an escape": ("a: \x1b[31m", "the character U+001B is not allowed"),
    "two documents": ("a: 1\n---\nb: 1", "expected a single document"),
}


@pytest.mark.parametrize("name", YAML)
def test_yaml(tmp_path, name):
    """Both readers of YAML refuse it in one sentence that names the file."""
    text, words = YAML[name]
    file = tmp_path / "c.yaml"
    file.write_text(text, encoding="utf-8")
    for read, kind in ((read_yaml, UserError), (documents.read_yaml, InputError)):
        with pytest.raises(kind) as caught:
            read(file)
        sentence = str(caught.value)
        assert words in sentence
        assert str(file) in sentence
        assert "\n" not in sentence
        assert len(sentence) < len(str(file)) + 400


def test_merge_keys():
    """Aliases and merges that stay small do what YAML says, and own keys win over merged ones."""
    text = "base: &b {x: 1, y: 1}\nown: &o {<<: *b, y: 2}\nother: {<<: *o, x: 3}"
    values = {"base": {"x": 1, "y": 1}, "own": {"x": 1, "y": 2}, "other": {"x": 3, "y": 2}}
    assert documents.yaml.load(text, documents._Loader) == values


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "too many levels"),
        ('{"a":' * 100_000, "too many levels"),
        ('{"a": 1, "b": 2, "a": 3}', "'a' appears twice"),
        ('{"a": NaN}', "'NaN' is not a number"),
        ('{"a": -Infinity}', "'-Infinity' is not a number"),
        (f'{{"a": {"9" * 100_000}}}', "more than 300 digits"),
        ('{"a": 1', "in line 1, column 8"),
    ],
)
def test_json(text, words):
    """JSON is read as strictly."""
    with pytest.raises(UserError) as caught:
        parse_json(text, "c.json")
    assert str(caught.value).startswith("c.json: not valid JSON, ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('output_folder: "a\\0b"', "'output_folder' cannot be a path"),
        ("output_folder: ~nobody-of-this-name/x", "'output_folder' cannot be a path"),
        ("model: {dim_mults: [[[[[[1]]]]]]}", "'model.dim_mults[0]' must be a whole number"),
        (f"dtype: {'x' * 90_000}", "'dtype' cannot be 'xxx"),
        (f"? {'x' * 90_000}\n: 1", "unknown key 'xxx"),
    ],
)
def test_values_of_configs(tmp_path, text, words):
    """A value that fits nowhere is shown in a few words, whatever its length and depth."""
    file = tmp_path / "c.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_config(str(file))
    assert words in str(caught.value)
    assert len(str(caught.value)) < len(str(file)) + 500


def test_config_inside_a_checkpoint(tmp_path):
    """A checkpoint's config may be any objects: nested references do not explode in a message."""
    nested: list = ["x"]
    for _ in range(40):
        nested = [nested] * 9
    for values in ({"dtype": nested}, {"model": nested}, {"seed": nested}, nested):
        with pytest.raises(UserError, match=r"\.\.\.") as caught:
            from_dict(values, tmp_path, "c.pth")
        assert len(str(caught.value)) < 2_000
    with pytest.raises(UserError, match=r"unknown key '?\(1, 2\)"):
        from_dict({(1, 2): 3}, tmp_path, "c.pth")


def test_captions(tmp_path):
    """The file of captions is JSON of the same rules, and a message cuts what it holds."""
    file = tmp_path / "captions.json"
    for content in (
        "[" * 100_000,
        '{"a.png": ' + "[" * 90 + "]" * 90 + "}",
        '{"a.png": 1, "a.png": 2}',
    ):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(UserError) as caught:
            read_captions(tmp_path, None)
        assert str(file) in str(caught.value)
        assert len(str(caught.value)) < 2 * len(str(file)) + 300


# What a terminal would obey

HOSTILE_NAME = "\x1b]0;title\x07\u202egpj\u2028\x85\x9b31m"


def test_escapes_are_spelled_out(capsys):
    """Control characters and marks of direction are spelled out, letters of all scripts stay."""
    for spell in (visible, visible_line, text.visible):
        found = spell(HOSTILE_NAME)
        assert found == r"\x1b]0;title\x07\u202egpj\u2028\x85\x9b31m"
        assert spell("Zoë \u06a9\u200c\u0647 数") == "Zoë \u06a9\u200c\u0647 数"
    assert (visible("a\n\tb"), visible_line("a\n\tb")) == ("a\n\tb", r"a\n\tb")
    say(f"two\nlines {HOSTILE_NAME}")
    assert capsys.readouterr().out == "two\nlines " + visible(HOSTILE_NAME) + "\n"


@any_name
def test_names_in_errors(tmp_path):
    """A script and the grader name a file whose name is an attack in one plain line."""
    name = "a\nerror: \x1b[2J\u202eb"
    for script, args in (
        ("code/train.py", [str(tmp_path / f"{name}.yaml")]),
        ("autograder/grade.py", [str(tmp_path / name)]),
    ):
        process = run_script(script, *args)
        assert_refused(process, r"\x1b[2J\u202eb")
        assert process.stderr.count("\n") == 1
        assert not {"\x1b", "\u202e"} & set(process.stderr)


# Pictures


def picture(kind, **options):
    """The bytes of a small picture in one of Pillow's formats, of which it may lack some."""
    Image.init()
    if kind not in Image.SAVE:
        return b"no picture " * 100
    file = io.BytesIO()
    Image.effect_noise((32, 24), 60).convert("RGB").save(file, kind, **options)
    return file.getvalue()


def png_that_claims(width, height):
    """A PNG of this size as its header has it, with no such content."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pieces = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in pieces
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


BAD_PICTURES = {
    "eps.png": (picture("EPS"), "not a readable image"),
    "avif.png": (picture("AVIF")[:-40], "not a readable image"),
    "dds.png": (picture("DDS"), "not a readable image"),
    "jpeg2000.jpg": (picture("JPEG2000"), "not a readable image"),
    "icns.png": (picture("ICNS"), "not a readable image"),
    "pcx.bmp": (picture("PCX"), "not a readable image"),
    "large.png": (png_that_claims(10_000, 5_001), "50 megapixels or more"),
    "huge.png": (png_that_claims(60_000, 60_000), "megapixels or more"),
    "cut.webp": (picture("WEBP")[:200], "not a readable image"),
    "cut.gif": (picture("GIF")[:300], "truncated|not a readable image"),
    "cut.tif": (picture("TIFF", compression="tiff_lzw")[:300], "not a readable image"),
    "cut.ppm": (picture("PPM")[:300], "truncated|not a readable image"),
    "text.jpg": (b"no picture " * 100, "not a readable image"),
}


def test_bad_pictures_are_skipped_and_listed(tmp_path, monkeypatch, capsys):
    """A file that is not a picture of a known format and size is skipped; no program is started."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)  # found anew
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gs").write_text(f"#!/bin/sh\necho run >>{tmp_path}/started\n")
    (tmp_path / "bin/gs").chmod(0o755)
    folder = tmp_path / "pictures"
    folder.mkdir()
    kinds = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "bmp": "BMP", "gif": "GIF", "tif": "TIFF"}
    for suffix, kind in {**kinds, "ppm": "PPM"}.items():
        (folder / f"good.{suffix}").write_bytes(picture(kind))
    for name, (content, _) in BAD_PICTURES.items():
        (folder / name).write_bytes(content)
        with pytest.raises(BadPicture, match=BAD_PICTURES[name][1]), opened(folder / name) as image:
            image.load()
    found = good_files(folder, [(path, None) for path in sorted(folder.iterdir())], 0)
    assert {path.stem for path, _ in found} == {"good"}
    assert len(found) == len(kinds) + 1
    output = capsys.readouterr()
    assert f"skipped {len(BAD_PICTURES)} of {len(BAD_PICTURES) + len(found)} files" in output.out
    assert "megapixels or more, above the limit of 50" in output.out
    assert output.err == ""
    assert not (tmp_path / "started").exists()


def test_pictures_that_turn_bad_later(tmp_path, capsys):
    """In training the next good file takes a bad one's place; --from says what is wrong."""
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    paths[0].write_bytes(picture("EPS"))
    paths[1].write_bytes(picture("PNG"))
    image, used = ImageFiles(paths).open(0, "RGB", 16)
    assert (image.size, used) == ((32, 24), 1)
    assert "a.png cannot be used (not a readable image)" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"a.png cannot be used: not a readable image"):
        load_picture(paths[0], 16, 16)
    with pytest.raises(UserError, match=r"c.png cannot be used: missing"):
        load_picture(tmp_path / "c.png", 16, 16)


def test_limit_on_pixels(tmp_path):
    """A picture at the limit is opened."""
    (tmp_path / "a.png").write_bytes(png_that_claims(10_000, MAX_PIXELS // 10_000))
    with opened(tmp_path / "a.png") as image:
        assert image.width * image.height == MAX_PIXELS

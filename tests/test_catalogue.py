"""The catalogue of scenarios: what its blocks say is read to the byte, and mistakes are named."""

import ast

import pytest
from instructor.submissions.catalogue import (
    KEYS,
    PARTS,
    TRICK,
    Block,
    ScenarioError,
    parts_in_words,
    read_blocks,
)

from helpers.files import ROOT

CATALOGUES = sorted((ROOT / "instructor" / "scenarios").glob("*/*.py"))


def read(folder, text, kind="hostile"):
    """The blocks of a catalogue of this kind with this text."""
    file = folder / kind / "example.py"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text.encode())
    return read_blocks(file)


def write(blocks: list[Block]) -> str:
    """A catalogue of these blocks, in which every file is an expression of bytes."""
    lines = []
    for block in blocks:
        lines.append(f"# ==== {block.name}")
        for key, value in block.keys.items():
            if key == "reason":
                lines += [f"# reason: {part}: {words}" for part, words in value.items()]
            elif isinstance(value, list):
                lines.append(f"# {key}: {', '.join(value)}")
            else:
                lines.append(f"# {key}: {'true' if value is True else value}")
        for place, code in block.places.items():
            lines += [f"# in: {place}", code]
        for path, content in block.files.items():
            lines += [f"# bytes: {path}", repr(content), ""]
    return "\n".join([*lines, ""])


def contents(blocks: list[Block]) -> list[tuple]:
    """All that blocks hold, without the place where they are."""
    return [(block.name, block.keys, block.places, block.files) for block in blocks]


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_what_is_written_is_read_again(file, tmp_path):
    """All blocks of all catalogues, written in another way, say the same."""
    blocks = read_blocks(file)
    assert blocks
    assert contents(read(tmp_path, write(blocks), file.parent.name)) == contents(blocks)


def test_each_way_to_write_a_content(tmp_path):
    """Code, a file of Python, other text, bytes, and none at all; blank lines end them."""
    text = """\
# Above the first block there may be comments.


# ==== first
# about: A sentence that goes on
#   in a second line.
# base: reference
# remove: configs, code/libs/edm.py
# earns: all except latent, unet
# reason: unet: words: with colons, and commas
# reason: latent: others
# in: ddpm.q_sample

def q_sample(self):
    # in a comment
    return 1


# file: code/a file.py
x = "\u2028"

# file: code/empty.py

# text: configs/a.yaml
#| # in: ddpm.q_sample
#|
#|   indented: 1
# bytes: results/a.png
(
    b"\\x00" * 3 + 2 * b"\\r\\n"
    b"end"
)


# ==== second
# about: Nothing but what it says.
"""
    first, second = read(tmp_path, text)
    assert first.keys == {
        "about": "A sentence that goes on in a second line.",
        "base": "reference",
        "remove": ["configs", "code/libs/edm.py"],
        "earns": [part for part in PARTS if part not in ("latent", "unet")],
        "reason": {"unet": "words: with colons, and commas", "latent": "others"},
    }
    code = "\ndef q_sample(self):\n    # in a comment\n    return 1\n"
    assert first.places == {"ddpm.q_sample": code}
    assert first.files == {
        "code/a file.py": 'x = "\u2028"\n'.encode(),
        "code/empty.py": b"",
        "configs/a.yaml": b"# in: ddpm.q_sample\n\n  indented: 1\n",
        "results/a.png": b"\0\0\0\r\nend\r\nend",
    }
    assert contents([second]) == [("second", {"about": "Nothing but what it says."}, {}, {})]
    assert (first.line, second.line, first.lines["results/a.png"]) == (4, 35, 28)


def test_a_trick_takes_the_place_of_all_five_functions(tmp_path):
    """A block with a trick replaces all five graded functions by code that compiles."""
    (block,) = read(tmp_path, "# ==== a\n# about: A.\n# trick:\ndef answer(name, self, args): 1\n")
    assert block.files == {TRICK: b"def answer(name, self, args): 1\n"}
    code = "".join(block.places[place] for place in ("ddpm.end", "unet.end"))
    ast.parse(code)
    for name in ("q_sample", "p_sample", "p_sample_loop", "compute_loss", "UNet.forward"):
        assert name in code


def test_parts_are_named_as_they_are_read(tmp_path):
    """The words that name parts in reports read back as the same parts."""
    for ids in ([], ["unet"], list(PARTS[:4]), list(PARTS[:7]), list(PARTS)):
        words = parts_in_words(ids)
        text = f"# ==== a\n# about: A.\n# earns: {words}\n"
        assert words == "nothing" or read(tmp_path, text)[0].keys["earns"] == ids


HEAD = "# ==== a\n# about: A.\n"
SAME = "# in: unet.top\n" * 2


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("import os\n" + HEAD, 1, "'import os' is above the first '# ==== NAME' and no comment"),
        ("# ==== a b\n", 1, "'a b' is not a name"),
        ("# ==== \n", 1, "'' is not a name"),
        (HEAD + HEAD, 3, "'a' is also the name of the block in line 1"),
        ("# ==== a\n# earns: all\n", 1, "'a' must say in one sentence under 'about' what it is"),
        (HEAD + "# earn: all\n", 3, "'earn' of 'a' is not a key (did you mean 'earns'?); the keys"),
        (HEAD + "# fails: unet\n", 3, "'fails' of 'a' is not a key"),
        (HEAD + "# earns: all\n# earns: all\n", 4, "'earns' of 'a' is there twice"),
        (HEAD + "# earns:\n", 3, "'earns' of 'a' is empty"),
        (HEAD + "# earns: u_net\n", 3, "names no part: 'u_net' (did you mean 'unet'?)"),
        (HEAD + "# earns: all except\n", 3, "names no part: 'all except'"),
        (HEAD + "# reason: unet\n", 3, "'reason' of 'a' says no words after 'unet: '"),
        (HEAD + "# reason: all: words\n", 3, "names no part: 'all'"),
        (HEAD + "x = 1\n", 3, "'x = 1' is neither '# key: value' nor below a line such as"),
        (HEAD + "# about\n", 3, "'# about' is neither"),
        ("# ==== a\n#   goes on\n", 2, "'#   goes on' is neither"),
        (
            HEAD + "# in: unet.top\nx = 1\n# === b\n# about: B.\n",
            6,
            "'# about: B.' is in the code of",
        ),
        (HEAD + SAME, 4, "'a' has unet.top twice"),
        (HEAD + "# in: unet.end\n# trick:\n", 4, "'a' has unet.end twice"),
        (HEAD + "# file:\n", 3, "'' is not a path in a submission"),
        (HEAD + "# file: ../x.py\n", 3, "'../x.py' is not a path"),
        (HEAD + "# text: /x.txt\n", 3, "'/x.txt' is not a path"),
        (HEAD + "# text: a.txt\nx\n", 3, "a.txt of 'a' has a line that does not begin with '#| '"),
        (HEAD + "# bytes: a.png\nopen('x').read()\n", 3, "a.png of 'a' is not an expression"),
        (HEAD + "# bytes: a.png\n3\n", 3, "a.png of 'a' is not an expression"),
        (HEAD + "# bytes: a.png\n", 3, "a.png of 'a' is not an expression"),
    ],
)
def test_a_mistake_is_one_sentence_with_file_and_line(text, line, words, tmp_path):
    """Whoever writes a wrong block learns from one sentence what is wrong and in which line."""
    with pytest.raises(ScenarioError) as error:
        read(tmp_path, text)
    said = str(error.value)
    assert said.startswith(f"{tmp_path / 'hostile' / 'example.py'}, line {line}: ")
    assert words in said
    assert "\n" not in said


def test_only_true_is_judge_only(tmp_path):
    """`judge_only` is `true` or absent; any other value is refused."""
    for value, wrong in (("true", False), ("yes", True), ("false", True)):
        text = f"{HEAD}# judge_only: {value}\n"
        if wrong:
            with pytest.raises(ScenarioError, match=f"'judge_only' of 'a' is '{value}', not true"):
                read(tmp_path, text, "right")
        else:
            assert read(tmp_path, text, "right")[0].keys["judge_only"] is True


def test_what_is_no_text_is_refused(tmp_path):
    """A catalogue that is missing or no UTF-8 is named, with the reason."""
    file = tmp_path / "wrong" / "a.py"
    with pytest.raises(ScenarioError, match=r"a\.py cannot be read: .*No such file"):
        read_blocks(file)
    file.parent.mkdir()
    file.write_bytes(b"# ==== a\n# about: \xff\n")
    with pytest.raises(ScenarioError, match=r"a\.py cannot be read: 'utf-8' codec"):
        read_blocks(file)


def test_every_key_is_described():
    """The README of the scenarios has a row for each key, with the kinds that know it."""
    readme = (ROOT / "instructor" / "scenarios" / "README.md").read_text(encoding="utf-8")
    rows = {
        line.split("`")[1]: line.split("|")[2] for line in readme.splitlines() if line[:3] == "| `"
    }
    for key in {key for kind in ("wrong", "right", "hostile") for key in KEYS[kind]}:
        kinds = [kind for kind in ("wrong", "right", "hostile") if key in KEYS[kind]]
        assert rows[key].strip() == ("all" if len(kinds) == 3 else ", ".join(kinds)), key

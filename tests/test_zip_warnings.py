"""What zip_submission.py warns of: long outputs, names, secrets, zips inside the zip."""

import io
import json
import os
import re
import sys
import zipfile

import pytest
import zip_submission

from helpers.files import any_name
from helpers.packing import pack, packed, warnings, write


def test_results_with_nothing_but_the_readme(team):
    """A results/ folder as the starter has it is pointed out, one with a film is not."""
    write(team, {"results/README.md": "# What goes here"})
    assert warnings(team) == []
    (team / "results" / "loss.csv").unlink()
    write(team, {"results/best.pth": "x"})
    (warning,) = warnings(team)
    assert warning.startswith("results/ holds nothing but its README")


def notebook(outputs: object) -> str:
    """A notebook with one cell."""
    return json.dumps({"cells": [{"cell_type": "code", "outputs": outputs}], "nbformat": 4})


def test_notebooks_with_long_outputs(team):
    """Outputs above 1 MB are named with their size and the command that clears them."""
    picture = [{"data": {"image/png": "x" * 3_000_000}}]
    write(team, {"code/long.ipynb": notebook(picture), "code/short.ipynb": notebook([])})
    write(team, {"results/cut.ipynb": notebook([])[:-9]})
    first, second = warnings(team)
    assert first.startswith(
        "code/long.ipynb holds 3.0 MB of outputs; clear them: jupyter nbconvert"
    )
    assert second.startswith("results/cut.ipynb is not a notebook")


def test_huge_notebooks_are_not_read(team):
    """A notebook that outputs made huge costs no memory: its size alone is looked at."""
    path = team / "code" / "huge.ipynb"
    with path.open("wb") as file:
        file.truncate(zip_submission.MAX_NOTEBOOK + 1)  # not JSON: reading would show it
    (warning,) = warnings(team)
    assert warning.startswith("code/huge.ipynb holds 20.0 MB of outputs; clear them: jupyter")


FOR_WINDOWS = [
    "aux.txt",
    "CON",
    "a:b.png",
    "what?.png",
    "lpt1.tar.c",
    "end.",
    "end ",
    "a\\b",
    "a\nb",
]
FOR_ALL = ["auxiliary.txt", "console.py", "com10.txt", "my.aux", ".hidden", "a b (1).png", "ä.png"]


@any_name
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_names_that_windows_refuses(team):
    """Each name, also of a folder, is named on one line; names that only look alike are not."""
    write(team, {f"results/{name}": "x" for name in [*FOR_WINDOWS, *FOR_ALL]})
    write(team, {"results/nul/x.png": "x", "results/" + "a" * 120 + "/" + "b" * 120: "x"})
    found = warnings(team)
    assert len(found) == len(FOR_WINDOWS) + 2
    assert sum("Windows allows no file" in line for line in found) == len(FOR_WINDOWS) + 1
    assert sum("too long for Windows" in line for line in found) == 1
    assert all(line.isprintable() for line in found)


def test_names_that_differ_only_in_case(team):
    """Two names that Windows and macOS take for one are named together, folders once per file."""
    write(team, {"results/Grid.png": "x", "results/grid.PNG": "y"})
    if len(os.listdir(team / "results")) < 3:
        pytest.skip("this disk takes the names for the same")
    write(team, {"results/a/x.png": "x", "results/A/y.png": "y", "results/B/z.png": "y"})
    one, two = warnings(team)
    assert one.startswith("results/A and results/a: Windows and macOS")
    assert two.startswith("results/Grid.png and results/grid.PNG: ")


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"
TOKENS = {
    "key": KEY,
    "keys.txt": "x\nWANDB_API_KEY=0123456789abcdef0123456789abcdef01234567\n",
    "short.txt": "API_KEY=abc123\n",
    "run.sh": "export HF_TOKEN=hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH\n",
    "aws.cfg": "key = AKIAIOSFODNN7EXAMPLE\n",
    "git.json": '{"url": "https://ghp_0123456789abcdefghijABCDEFGHIJ012345@github.com"}',
    "login.json": '{"password": "correct1horse2battery3"}',
}
NO_TOKENS = {
    "code.txt": "API_KEY=$WANDB_API_KEY\nAPI_KEY=your_key_here\nAPI_KEY=<paste it>\nAPI_KEY=\n",
    "doc.txt": "token = tokenizer.encode(text)\nsecret_key: none\npassword='short1'\n",
    "yaml.txt": "tokenizer: openai/clip-vit-large-patch14\napi_key: null\n",
    "sha.txt": "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n",
    "pub.txt": "ssh-rsa AAAAB3NzaC1yc2E me@host\n-----BEGIN CERTIFICATE-----\n",
    "risk.txt": "task-0123456789012345678901234567890123456789\n",
}


def test_secrets_are_left_out_and_said(team):
    """Files with keys and tokens stay out of the zip by what they hold; look-alikes stay in."""
    write(team, {f"results/{name}": text for name, text in {**TOKENS, **NO_TOKENS}.items()})
    names = set(packed(team))
    assert not names & {f"results/{name}" for name in TOKENS}
    assert names >= {f"results/{name}" for name in NO_TOKENS}
    output = pack(team).stdout
    assert "Left out, secrets (keys, passwords, tokens): results/" in output
    assert "Warnings" not in output


def test_secrets_in_code_are_named_and_the_code_stays(team):
    """Code that holds a token is handed in, since it is graded, and named with its line."""
    source = "import wandb\n\nwandb.login(key='x')\nAPI_KEY = '0123456789abcdef0123456789abcdef'\n"
    write(team, {"code/track.py": source, "configs/x.yaml": "api_key: 'a1b2c3d4e5f6a7b8c9d0'\n"})
    first, second = warnings(team)
    assert first.startswith("code/track.py, line 4: this looks like a password, key or token")
    assert second.startswith("configs/x.yaml, line 1: ")
    assert "code/track.py" in zipfile.ZipFile(team / "submission.zip").namelist()


def zip_of(*names: str) -> bytes:
    """A zip with empty files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return file.getvalue()


def test_zips_inside_the_zip(team):
    """Earlier submissions and checkpoints stay out, whatever their names; others are warned of."""
    write(
        team,
        {
            "results/final.zip": zip_of("code/libs/ddpm.py"),
            "writeup/old": zip_of("hw4/team.csv"),
            "results/weights.bin": zip_of("archive/data.pkl", "archive/version"),
            "results/films.zip": zip_of("film.gif"),
            "results/broken.zip": b"PK\3\4",
            "writeup/notes.docx": zip_of("word/document.xml"),
        },
    )
    output = pack(team).stdout
    assert "Left out, earlier submissions: writeup/old, results/final.zip\n" in output
    assert re.search(r"Left out, checkpoints .*: results/weights.bin\n", output)
    first, second = warnings(team)
    assert first.startswith("results/broken.zip: the grader opens no archive")
    assert second.startswith("results/films.zip: ")

"""Reading a hand-in: its code is found wherever it is, copied unchanged, and given helpers."""

import hashlib
import importlib.util
import marshal
import os
import random
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from autograder.reading.submission import (
    Refused,
    open_submission,
)

from helpers.files import ROOT
from helpers.hand_ins import (
    CODE,
    COMPLETE,
    DDPM,
    KIT,
    LIBS,
    PNG,
    UNET,
    Files,
    copied,
    read,
    read_zip,
    write_folder,
    write_zip,
)

# What a careful team hands in


def test_a_zip_of_zip_submission_has_nothing_odd(tmp_path):
    """The script that writes the zips and this reader agree: no note, no finding, all is there."""
    litter = ["code/data/x.bin", "results/x.npz", "results/runs/a", "code/wandb/run/config.yaml"]
    litter += ["results/a.onnx", "code/.env", "results/submission.zip", "code/.DS_Store"]
    root = write_folder(tmp_path / "home work", {**COMPLETE, **dict.fromkeys(litter, b"1")})
    shutil.copy(ROOT / "zip_submission.py", root)
    archive = tmp_path / "submission.zip"
    command = [sys.executable, "-I", root / "zip_submission.py", "--no-check", "--out", archive]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    submission = read(archive)
    assert submission.notes == submission.needs_look == submission.findings == []
    assert copied(submission) == {
        **{name[5:]: c for name, c in CODE.items()},
        "train.py": COMPLETE["code/train.py"],
        "configs/mnist.yaml": COMPLETE["configs/mnist.yaml"],  # which modules may read
    }
    assert submission.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert submission.name == "submission.zip"
    assert submission.team == tmp_path.name  # of the folder, since teams hand in "submission.zip"
    assert submission.members == [
        {"member": "Åsa Öberg", "netid": "asa1", "contribution": "UNet"},
        {"member": "Bo Li", "netid": "bo2", "contribution": "all else"},
    ]


def test_a_worker_without_rights_can_read_the_copy(tmp_path):
    """The copied code can be read by another user, under any umask."""
    old = os.umask(0o077)
    try:
        submission = read_zip(tmp_path, {**COMPLETE, "code/a/b/c.py": b""})
    finally:
        os.umask(old)
    modes = {p.is_dir(): stat.S_IMODE(p.stat().st_mode) for p in submission.code_folder.rglob("*")}
    assert modes == {True: 0o755, False: 0o644}
    assert stat.S_IMODE(submission.code_folder.stat().st_mode) == 0o755
    assert stat.S_IMODE(submission.code_folder.parent.stat().st_mode) == 0o755


def test_a_folder_is_read_like_its_zip(tmp_path):
    """A folder and its zip give the same files, members and remarks."""
    folder = write_folder(tmp_path / "a" / "team-07", COMPLETE)
    from_folder, from_zip = read(folder), read_zip(tmp_path, COMPLETE)
    assert copied(from_folder) == copied(from_zip)
    assert from_folder.members == from_zip.members
    assert from_folder.notes == from_folder.findings == []
    assert (from_folder.name, from_folder.team) == ("team-07", "team-07")


def test_remarks_name_files_in_the_order_of_their_names(tmp_path):
    """File systems list a folder in an order of their own, which must not reach a report."""
    folder = write_folder(tmp_path / "in" / "team-07", COMPLETE)
    for name in ("q", "e", "c", "x", "b", "h", "a", "m"):
        (folder / name).symlink_to("/etc")
    assert "Links were not followed: a, b, c and 5 more" in read(folder).notes


def test_hash_of_a_folder(tmp_path):
    """Names and contents count; times, order and data do not."""

    def digest(name: str, files: Files) -> str:
        return read(write_folder(tmp_path / name / "team-07", files)).sha256

    first = digest("a", COMPLETE)
    reverse = dict(reversed(list(COMPLETE.items())))
    assert len(first) == 64
    assert digest("b", {**reverse, "data/x.bin": b"1", ".DS_Store": b"2"}) == first
    assert digest("c", {**COMPLETE, "code/libs/unet.py": b"pass\n"}) != first
    assert digest("d", {**COMPLETE, "code/libs/more.py": b""}) != first
    moved = {("code/tr.py" if name == "code/train.py" else name): c for name, c in COMPLETE.items()}
    assert digest("e", moved) != first


# Where the code lies


@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        ("homework/", "code/libs/"),
        ("homework/diffusion-main/", "code/libs/"),
        ("", "code/code/libs/"),
        ("", "src/libs/"),
        ("", "libs/"),
        ("", "code/"),  # ddpm.py and unet.py alone
        ("", ""),
        ("data/logs/", "code/libs/"),  # the name of the top folder does not matter
        ("Übung 3 (final)/作业\u3000一/", "code/libs/"),
        ("tab\there/\x1b[31m/", "code/libs/"),
    ],
)
def test_code_is_found_wherever_it_lies(tmp_path, prefix, code):
    """The code is found below any folders and in every layout that was ever handed out."""
    files = {prefix + code + name: content for name, content in LIBS.items()}
    files |= {prefix + n: c for n, c in COMPLETE.items() if not n.startswith("code/")}
    submission = read_zip(tmp_path, files)
    assert {name: copied(submission)[f"libs/{name}"] for name in LIBS} == LIBS
    assert "writeup/report.pdf" not in copied(submission)
    assert [m["netid"] for m in submission.members] == ["asa1", "bo2"]
    assert submission.findings == submission.needs_look == []
    assert len(submission.notes) == 1


@pytest.mark.parametrize(
    ("names", "remark"),
    [
        (lambda name: "/home/team/" + name, "lead out"),
        (lambda name: "C:/Users/team/" + name, "lead out"),
        (lambda name: "C:\\Users\\team\\" + name.replace("/", "\\"), "lead out"),
        (lambda name: "\\\\server\\share\\" + name.replace("/", "\\"), "lead out"),
        (lambda name: "../../" + name, "lead out"),
        (lambda name: "team\\" + name.replace("/", "\\"), "Backslashes"),
        (lambda name: "./team//./" + name, "is not in code/"),
    ],
)
def test_names_of_other_systems(tmp_path, names, remark):
    """They are cut to what follows; `read` sees that nothing is written outside."""
    submission = read_zip(tmp_path, {names(name): content for name, content in COMPLETE.items()})
    assert {name: copied(submission)[f"libs/{name}"] for name in LIBS} == LIBS
    assert len(submission.members) == 2
    assert remark in " ".join(submission.notes + submission.findings)
    assert bool(submission.findings) == (remark == "lead out")


def test_shallowest_code_is_graded_and_others_are_named(tmp_path):
    """Of several copies of the code the shallowest is graded, and the others are reported."""
    files = {f"backup/{name}": b"old = 1\n" for name in CODE}
    files |= {f"attic/libs/{name}": b"old = 2\n" for name in LIBS}
    submission = read_zip(tmp_path, {**files, **COMPLETE})
    assert copied(submission)["libs/ddpm.py"] == DDPM
    (look,) = submission.needs_look
    assert "attic" in look
    assert "backup/code" in look


def test_code_with_both_modules_comes_before_half_of_it(tmp_path):
    """A folder with ddpm.py and unet.py is preferred to one with only one of them."""
    files = {f"work/libs/{name}": content for name, content in LIBS.items()}
    submission = read_zip(tmp_path, {"copy/libs/ddpm.py": b"old = 1\n", **files})
    assert copied(submission)["libs/ddpm.py"] == DDPM
    assert "copy" in " ".join(submission.needs_look)


def test_names_in_another_case_count_where_no_exact_one_is(tmp_path):
    """DDPM.PY is graded as ddpm.py if there is no exact name."""
    files = {"Code/Libs/DDPM.py": DDPM, "Code/Libs/UNet.PY": UNET, "Code/Libs/my.py": b"1"}
    submission = read_zip(tmp_path, files)
    assert copied(submission).items() >= {"libs/ddpm.py": DDPM, "libs/unet.py": UNET}.items()
    assert copied(submission)["libs/my.py"] == b"1"
    assert any("lower case" in note for note in submission.notes)
    shutil.rmtree(tmp_path / "in")
    other = {**COMPLETE, "code/libs/DDPM.py": b"1", "Libs/DDPM.py": b"2"}
    assert copied(read_zip(tmp_path, other))["libs/ddpm.py"] == DDPM


def test_earlier_layout_is_graded(tmp_path):
    """Configs inside code/, no team file, no results: reported, never refused."""
    files = {**CODE, "code/configs/mnist.yaml": b"a: 1\n", "configs/mnist.yaml": b"b: 1\n"}
    submission = read_zip(tmp_path, files)
    assert copied(submission)["configs/mnist.yaml"] == b"a: 1\n"
    assert submission.members == []
    assert submission.findings == ["There is no team.csv", "There is no report as PDF"]
    assert submission.notes == ["There is no folder results"]


@pytest.mark.parametrize("one", ["ddpm.py", "unet.py"])
def test_one_module_is_enough(tmp_path, one):
    """A lone ddpm.py or unet.py is graded."""
    submission = read_zip(tmp_path, {f"code/libs/{one}": LIBS[one]})
    graded = {"libs/ddpm.py", "libs/unet.py"} & copied(submission).keys()
    assert graded == {f"libs/{one}"}


# Helpers of the kit


def test_only_the_kits_own_text_is_compiled(tmp_path):
    """Modules that are the kit's get its bytecode, even where a team sent some; others get none."""
    own = (KIT / "libs" / "unet.py").read_bytes()
    forged = {"code/libs/__pycache__/unet.cpython-311.pyc": b"forged"}
    sent = {**CODE, **forged, "code/libs/unet.py": own, "code/libs/ddpm.py": own}
    folder = read_zip(tmp_path, sent).code_folder / "libs" / "__pycache__"
    name = Path(importlib.util.cache_from_source("unet.py")).name
    assert not (folder / name.replace("unet", "ddpm")).exists()
    code = marshal.loads((folder / name).read_bytes()[16:])
    assert code == compile(own, "unet.py", "exec")


def test_missing_helpers_come_from_the_kit(tmp_path):
    """Helpers that a team left out come from the kit, graded files never."""
    own = {"code/libs/ddpm.py": DDPM, "code/libs/blocks.py": b"mine = 1\n"}
    submission = read_zip(tmp_path, own)
    files = copied(submission)
    assert files["libs/blocks.py"] == b"mine = 1\n"
    graded = ("libs/unet.py", "libs/ddim.py", "libs/metrics/")
    assert not [name for name in files if name.startswith(graded)]
    names = "__init__ utils schedules tiny_autoencoder latent_space weights"
    for name in names.split():
        assert files[f"libs/{name}.py"] == (KIT / "libs" / f"{name}.py").read_bytes()
    assert any("weights.py" in note and "from the kit" in note for note in submission.notes)


def test_helpers_beside_an_earlier_edition_can_be_imported(tmp_path):
    """The team's utils.py lacks what the kit's other helpers need: both are there, side by side."""
    kit = {
        "libs/__init__.py": b"",
        "libs/utils.py": b"def default(a, b): return 'kit'\nclass UserError(Exception): pass\n",
        "libs/blocks.py": b"from .utils import default\n",
        "libs/schedules.py": b"def show():\n    from .unet import solution\n",
        "libs/tiny_autoencoder.py": b"from .utils import UserError\nfrom .weights import load\n",
        "libs/latent_space.py": b"from .tiny_autoencoder import load\n",
        "libs/weights.py": b"from .utils import (\n    UserError,\n)\nload = UserError\n",
        "libs/unet.py": b"solution = 1\n",
    }
    own = {
        "code/libs/utils.py": b"def default(a, b): return 'own'\n",
        "code/libs/ddpm.py": b"from . import blocks, tiny_autoencoder, utils\n",
    }
    write_folder(tmp_path / "kit", kit)
    archive = write_zip(tmp_path / "a.zip", own)
    submission = open_submission(archive, tmp_path / "work", tmp_path / "kit")
    program_text = (
        "from libs import ddpm\n"
        "print(ddpm.utils.default(1, 2), ddpm.blocks.default(1, 2))\n"
        "print(issubclass(ddpm.tiny_autoencoder.load, Exception))\n"
    )
    command = [sys.executable, "-c", program_text]
    done = subprocess.run(
        command,
        cwd=submission.code_folder,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["own", "own", "True"], done.stderr
    assert "libs/unet.py" not in copied(submission)


# Everything else


def test_damage_of_any_kind_is_read_or_refused(tmp_path):
    """Flipped, lost and repeated bytes, at the same places in every run: no other exception."""
    files = {**COMPLETE, "results/a.png": PNG, "zoë/x.txt": b"1"}
    whole = write_zip(tmp_path / "a.zip", files).read_bytes()
    random_place = random.Random(7)
    trials, reasons = 250, []
    for trial in range(trials):
        data = bytearray(whole)
        headers = [i for i in range(len(data)) if data[i : i + 2] == b"PK"]
        for _ in range(random_place.choice([1, 1, 3, 20])):
            near = random_place.choice(headers) + random_place.randrange(46)
            place = near if trial % 2 else random_place.randrange(len(data))
            data[place % len(data)] = random_place.randrange(256)
        if trial % 5 == 0:
            cut = random_place.randrange(len(data))
            del data[cut : cut + random_place.randrange(200)]
        (tmp_path / "b.zip").write_bytes(data)
        work = tmp_path / "work"
        try:
            open_submission(tmp_path / "b.zip", work, KIT)
        except Refused as error:
            reasons.append(str(error))
        shutil.rmtree(work, ignore_errors=True)
    assert all(reason.isprintable() for reason in reasons)
    assert 20 < len(reasons) < trials - 20

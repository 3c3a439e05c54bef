"""Hand-ins with odd names, links, special files or litter are read without harm."""

import os
import socket
import stat
import zipfile

import pytest
from autograder.reading import archives

from helpers.files import ROOT, any_name
from helpers.hand_ins import (
    COMPLETE,
    DDPM,
    LIBS,
    UNET,
    copied,
    read,
    read_zip,
    refused,
    write_folder,
    write_zip,
)
from helpers.scripts import run_script

# Names, links, special files


@pytest.mark.parametrize(
    ("name", "remark"),
    [
        ("code/../../../evil.py", "'..' in the middle"),
        ("code/libs/../../../evil.py", "'..' in the middle"),
        ("code\\..\\..\\evil.py", "'..' in the middle"),
        ("code/" + "n" * 300 + ".py", "too long"),
        ("code/" + "ä" * 140 + ".py", "too long"),
        ("code/new\nline.py", "cannot be used here"),
        ("code/\x1b]0;title\x07.py", "cannot be used here"),
        ("code/\u202egpj.py", "cannot be used here"),
    ],
)
def test_bad_names_are_left_out(tmp_path, name, remark):
    """Absolute names, `..` and names that systems reserve are never written."""
    submission = read_zip(tmp_path, {name: b"evil = 1\n", **COMPLETE})
    assert b"evil = 1\n" not in copied(submission).values()
    assert copied(submission)["libs/ddpm.py"] == DDPM
    assert remark in " ".join(submission.notes + submission.needs_look)


def test_name_with_nul(tmp_path):
    """zipfile would cut the name at the NUL and let it take a module's place."""
    data = write_zip(tmp_path / "a.zip", {**COMPLETE, "code/libs/unet.py#": b"evil"}).read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.zip").write_bytes(data.replace(b"unet.py#", b"unet.py\0"))
    submission = read(tmp_path / "in" / "a.zip")
    assert copied(submission)["libs/unet.py"] == UNET
    assert any("NUL" in look for look in submission.needs_look)


@any_name
def test_utf8_names_without_the_mark(tmp_path):
    """As macOS writes them: read as UTF-8. What is not UTF-8 is read as cp437, as zip says."""
    names = {"code/grüße.txt": "grüße.txt".encode(), "code/za\u00f1.txt": b"za\xa4.txt"}
    files = {**COMPLETE, **{f"code/placeholder{i}.txt": b"1" for i in range(2)}}
    data = write_zip(tmp_path / "a.zip", files).read_bytes()
    for i, raw in enumerate(names.values()):
        old = f"placeholder{i}.txt".encode()
        data = data.replace(old, raw.rjust(len(old), b"_"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.zip").write_bytes(data)
    assert {n.lstrip("_") for n in copied(read(tmp_path / "in" / "a.zip"))} >= {
        n[5:] for n in names
    }


def test_a_name_that_the_locale_cannot_write_is_a_file_left_out(tmp_path):
    """Where Python writes names in plain ASCII, one with other letters ends no grading."""
    code = "import sys; from pathlib import Path; from autograder.reading import program\n"
    code += "print(program.write_file(Path(sys.argv[1]), ('zo\\u00eb.txt',), b'1'))"
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = run_script("-c", code, tmp_path, PYTHONPATH=str(ROOT), **ascii_only)
    assert process.stdout.split() == ["False"], process.stderr
    assert not list(tmp_path.iterdir())


def test_links_and_special_entries_in_a_zip(tmp_path):
    """Links and pipes in a zip are left out and reported."""
    path = tmp_path / "in" / "a.zip"
    path.parent.mkdir()
    kinds = {"link.txt": stat.S_IFLNK, "libs/more.py": stat.S_IFLNK, "pipe": stat.S_IFIFO}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in COMPLETE.items():
            archive.writestr(name, content)
        for name, kind in kinds.items():
            info = zipfile.ZipInfo(f"code/{name}")
            info.create_system, info.external_attr = 3, (kind | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    submission = read(path)
    assert not kinds.keys() & copied(submission).keys()
    assert any("Links" in note and "code/link.txt" in note for note in submission.notes)
    assert any("code/libs/more.py" in look for look in submission.needs_look)
    assert any("Pipes" in look for look in submission.needs_look)


def test_links_and_special_files_in_a_folder(tmp_path):
    """None is followed or opened: a pipe would make us wait for ever."""
    secret = write_folder(tmp_path / "secret", {"other.py": b"secret = 1\n"})
    root = write_folder(tmp_path / "in" / "team-07", COMPLETE)
    (root / "code" / "to_file.py").symlink_to(secret / "other.py")
    (root / "code" / "to_folder").symlink_to(secret)
    (root / "code" / "circle").symlink_to(root)
    (root / "code" / "nowhere").symlink_to("nothing")
    (root / "results" / "a.png").symlink_to("/etc/passwd")
    os.mkfifo(root / "code" / "pipe.py")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(root)  # the path of a socket has at most 107 bytes
        server.bind("code/socket.py")
        os.chdir(here)
        submission = read(root)
    assert copied(submission) == copied(read_zip(tmp_path / "in", COMPLETE))
    assert submission.samples == []
    assert any("to_file.py" in look for look in submission.needs_look)
    assert any("pipe.py" in look and "socket.py" in look for look in submission.needs_look)
    assert any("Links" in note and "and 2 more" in note for note in submission.notes)


def test_file_that_becomes_a_link_is_not_followed(tmp_path):
    """A file that is replaced by a link after it was listed is not read."""
    root = write_folder(tmp_path / "a", {"x.py": b"1"})
    secret = write_folder(tmp_path, {"secret.py": b"2"}) / "secret.py"
    (entry,) = archives.folder_entries(root, archives.Remarks())
    (root / "x.py").unlink()
    (root / "x.py").symlink_to(secret)
    with pytest.raises(archives.Unreadable):
        entry.read(1000)
    (root / "x.py").unlink()
    os.mkfifo(root / "x.py")
    with pytest.raises(archives.Unreadable):
        entry.read(1000)


def test_names_that_are_no_utf8_in_a_folder(tmp_path):
    """A file name that is not UTF-8 is left out, and the rest is graded."""
    root = write_folder(tmp_path / "in" / "team-07", COMPLETE)
    (root / os.fsdecode(b"code/caf\xe9.py")).write_bytes(b"1")
    submission = read(root)
    assert copied(submission)["libs/ddpm.py"] == DDPM
    assert any("cannot be used here" in look for look in submission.needs_look)
    assert len(submission.sha256) == 64


def test_unreadable_file(tmp_path, monkeypatch):
    """As root nothing is unreadable, so the system's answer is put in its place."""

    def denied(path):
        raise PermissionError(13, "Permission denied", path)

    root = write_folder(tmp_path / "team-07", COMPLETE)
    monkeypatch.setattr(archives, "open_regular", denied)
    refused(root, "cannot be read (Permission denied)")


def test_duplicate_names(tmp_path):
    """Of two entries with one name the last counts; different contents need a human look."""
    path = tmp_path / "in" / "a.zip"
    path.parent.mkdir()
    write_zip(path, COMPLETE)
    with zipfile.ZipFile(path, "a") as archive:
        for name, content in {"ddpm.py": DDPM, "unet.py": b"second = 1\n"}.items():
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr(f"code/libs/{name}", content)
    submission = read(path)
    assert copied(submission)["libs/unet.py"] == b"second = 1\n"
    assert any("same content: code/libs/ddpm.py" in note for note in submission.notes)
    assert any("twice" in look and "unet.py" in look for look in submission.needs_look)


def test_names_that_differ_in_case(tmp_path):
    """Names that collide on macOS and Windows are reported, and the exact one is graded."""
    submission = read_zip(tmp_path, {**COMPLETE, "code/libs/DDPM.py": b"1", "code/Train.py": b"2"})
    assert copied(submission)["libs/ddpm.py"] == DDPM
    assert copied(submission)["libs/DDPM.py"] == b"1"
    (look,) = submission.needs_look
    assert "macOS and Windows" in look
    assert "code/Train.py" in look


def test_file_and_folder_of_the_same_name(tmp_path):
    """A name that is both a file and a folder is reported, and the code is still graded."""
    submission = read_zip(
        tmp_path, {"code/libs": b"no folder", "code/a/b.py": b"", **COMPLETE, "code/a": b""}
    )
    assert {name: copied(submission)[f"libs/{name}"] for name in LIBS} == LIBS
    assert copied(submission)["a/b.py"] == b""
    assert any("both a file and a folder" in look for look in submission.needs_look)


# What does not belong there


def test_litter_is_left_out(tmp_path):
    """Caches, editors' files and environments are left out with one note, and no finding."""
    litter = {
        "__MACOSX/code/libs/._ddpm.py": b"1",
        "code/.DS_Store": b"1",
        "code/libs/__pycache__/ddpm.cpython-311.pyc": b"1",
        "code/libs/ddpm.pyc": b"1",
        "code/.git/config": b"1",
        "code/env/pyvenv.cfg": b"1",
        "code/env/lib/x.py": b"1",
        "code/.ipynb_checkpoints/libs/ddpm.py": b"1",
    }
    (tmp_path / "a").mkdir()
    clean = copied(read_zip(tmp_path / "a", COMPLETE))
    submission = read_zip(tmp_path, {**litter, **COMPLETE, "code/kv_cache/x.py": b"1"})
    assert copied(submission) == {**clean, "kv_cache/x.py": b"1"}
    assert submission.findings == submission.needs_look == []
    (note,) = submission.notes
    assert "litter" in note
    folder = write_folder(tmp_path / "b" / "team-07", {**litter, **COMPLETE})
    assert copied(read(folder)) == clean


def test_checkpoints_and_data_are_left_out(tmp_path):
    """Weights, data and logs are left out of what the worker gets."""
    left = {
        "code/model.pth": b"1",
        "code/libs/w.safetensors": b"1",
        "results/last.CKPT": b"1",
        "code/data/mnist/train.bin": b"1",
        "logs/run/events.out.tfevents.1": b"1",
        "code/features.npy": b"1",
    }
    kept = {"code/libs/data/__init__.py": b"1", "code/libs/data/table.txt": b"2"}
    submission = read_zip(tmp_path, {**COMPLETE, **left, **kept, "model/final.pth": b"1"})
    assert copied(submission)["libs/data/table.txt"] == b"2"
    assert not [name for name in copied(submission) if f"code/{name}" in left]
    checkpoints, data = sorted(submission.findings)
    assert checkpoints.startswith("Checkpoints")
    assert "code/model.pth (0.0 kB)" in checkpoints
    assert data.startswith("Data")
    assert "code/data/mnist/train.bin" in data
    assert "model/final.pth" not in checkpoints  # what --with-model adds is allowed
    assert any("model/final.pth" in note for note in submission.notes)


def test_python_files_stay_byte_for_byte(tmp_path):
    """Python files reach the worker unchanged, in any encoding and with any line ends."""
    odd = {
        "code/bom.py": b"\xef\xbb\xbfx = 1\n",
        "code/crlf.py": b"if 1:\r\n\tx = 1\r\n",
        "code/latin.py": b"x = 'caf\xe9'\n",
        "code/declared.py": b"# -*- coding: latin-1 -*-\n# caf\xe9\n",
        "code/utf16.py": "x = 1\n".encode("utf-16"),
        "code/nul.py": b"x = 1\0\n",
        "code/conftest.py": b"raise SystemExit\n",
        "code/sitecustomize.py": b"raise SystemExit\n",
        "code/torch.py": b"raise SystemExit\n",
    }
    submission = read_zip(tmp_path, {**COMPLETE, **odd})
    assert (
        copied(submission).items() >= {name[5:]: content for name, content in odd.items()}.items()
    )
    (note,) = submission.notes
    for name in odd:
        compiles = True
        try:
            compile(odd[name], name, "exec")  # Python's own judgement
        except (SyntaxError, ValueError):
            compiles = False
        assert (name in note) == (not compiles)

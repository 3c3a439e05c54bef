"""Which files a worker of the sandbox can read and change."""

import errno
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from autograder.sandbox.limits import Limits

from helpers.files import ROOT
from helpers.labs import REFUSED, Lab, ask, linux_only, skip_without

FILES = [("view",), ("landlock",), ("landlock", "user", "seccomp"), None]


def file_lab(labs: Callable[..., Lab], only: tuple[str, ...] | None, offered: dict) -> Lab:
    skip_without(offered, "namespaces" if only == ("view",) else "landlock")
    if only == ("view",) and not offered["root"]:
        only = ("view", "namespaces")  # others than root need a user namespace for it
    return labs(*only) if only else labs(everything=True)


@linux_only
@pytest.mark.parametrize("only", FILES)
def test_nobody_elses_files_can_be_read(labs, only, offered, tmp_path):
    """The hidden tests, other submissions, logs, keys and the judge's memory stay out of reach, by
    each layer of files alone."""
    lab = file_lab(labs, only, offered)
    other = tmp_path / "other_submission"
    other.mkdir()
    (other / "ddpm.py").write_text("secret")
    paths = [
        ROOT / "pyproject.toml",
        ROOT / "autograder" / "sandbox" / "wire.py",
        other / "ddpm.py",
        lab.log,
        Path("/etc/passwd"),
        Path("/proc/1/environ"),
        Path("/proc/self/environ"),
        Path(f"/proc/{os.getpid()}/environ"),
        Path(f"/proc/{os.getpid()}/mem"),
    ]
    with lab.worker() as worker:
        for path in paths:
            answer = ask(worker, f"result = open({str(path)!r}, 'rb').read(1)")
            assert answer.get("number") in REFUSED, path
        for folder in (ROOT, Path.home(), other, Path("/proc"), Path(tempfile.gettempdir())):
            answer = ask(worker, f"import os; result = os.listdir({str(folder)!r})")
            # Where the file system is the worker's own, a folder on the way to its code exists,
            # and holds just that way.
            names = set(answer.get("result", []))
            assert answer.get("number") in REFUSED or names < set(os.listdir(folder)), folder
            assert not names & {"pyproject.toml", "autograder", "ddpm.py", "1", ".bashrc"}, folder


@linux_only
@pytest.mark.parametrize("only", FILES)
def test_nothing_can_be_written_outside_the_scratch_folder(labs, only, offered, tmp_path):
    """Neither new files nor changes to the submission itself are left anywhere, by each layer
    alone."""
    lab = file_lab(labs, only, offered)
    (lab.folder / "code").mkdir(exist_ok=True)
    mine = lab.folder / "code" / "mine.py"
    mine.write_text("value = 1")
    tmp_path.chmod(0o777)
    targets = [
        tmp_path / "new",
        mine,
        lab.folder / "code" / "new.py",
        ROOT / "new",
        Path("/autograder-test"),
        Path("/dev/shm/autograder-test"),
        Path("/var/tmp/autograder-test"),
        Path(tempfile.gettempdir()) / "autograder-test",
        Path(sys.prefix) / "lib" / "autograder-test",
    ]
    with lab.worker() as worker:
        for path in targets:
            answer = ask(worker, f"open({str(path)!r}, 'w').write('x')")
            assert answer.get("number") in REFUSED, path
            assert path == mine or not path.exists()
        name = str(mine)
        for code in (
            f"os.remove({name!r})",
            f"os.rename({name!r}, 'taken')",
            f"os.link({name!r}, 'taken')",
            f"os.truncate({name!r}, 0)",
            f"os.mkdir({str(tmp_path / 'folder')!r})",
            f"os.symlink('x', {str(tmp_path / 'link')!r})",
        ):
            assert ask(worker, "import os; " + code).get("number") in REFUSED | {errno.EXDEV}, code
    assert mine.read_text() == "value = 1"
    assert list(tmp_path.iterdir()) == []


def test_folders_of_packages_under_development_are_not_shown(monkeypatch):
    """An editable install puts its own folder on the path: that may be the repository."""
    from autograder.sandbox import confine

    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT), str(ROOT / "code"), "/home"])
    shown = confine.readable_paths("/submission")
    assert "/submission" in shown
    assert not {str(ROOT), str(ROOT / "code"), "/home", "/", str(Path.home())} & set(shown)


def test_a_repository_or_submission_that_cannot_be_hidden_is_said_and_is_a_hole():
    """A kit below a folder that workers must see, such as /usr, is not hidden: grading refuses
    or says so."""

    from autograder.sandbox import confine, holes

    for root, private, hidden in (
        ("/usr/local/kit", (), False),
        ("/srv/kit", ("/home/grades", "/usr/share/submissions"), False),
        ("/srv/kit", ("/home/grades",), True),
    ):
        record = confine.Record(layers={holes.VIEW, holes.LANDLOCK, holes.FILTER})
        plan = confine.Plan("/submission", "/scratch", root, Limits(), private=private)
        confine.note_places(plan, ["/usr", "/srv/kit/.venv/lib"], record)
        assert ("hiding" not in str(record.words())) == hidden
        assert ("read" not in holes.found(record.layers)) == hidden
        assert bool(holes.refusal(record.layers, [])) != hidden


@linux_only
def test_the_mode_and_owner_of_files_cannot_be_changed_by_the_filter_alone(labs, offered, tmp_path):
    """Landlock does not cover chmod, chown, times and attributes: the filter must."""
    skip_without(offered, "seccomp")
    (tmp_path / "file").write_text("x")
    with labs("seccomp").worker() as worker:
        for call in (
            "os.chmod(p, 0)",
            "os.chown(p, 5, 5)",
            "os.utime(p)",
            "os.setxattr(p, 'user.a', b'')",
        ):
            code = f"import os; p = {str(tmp_path / 'file')!r}; {call}"
            assert ask(worker, code).get("number") == errno.EPERM, call

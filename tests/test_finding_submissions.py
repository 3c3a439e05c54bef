"""Which hand-ins there are in folders, and what they are called."""

import os
from pathlib import Path

import pytest
from autograder.reading.submission import (
    Refused,
    find_submissions,
    names_of,
)
from autograder.text import alike

from helpers.files import any_name
from helpers.hand_ins import (
    CODE,
    write_folder,
    write_zip,
)

# Finding the submissions


def find(*paths: Path) -> list[str]:
    """The names found, relative to the folder of the first path."""
    return [str(path.relative_to(paths[0].parent)) for path in find_submissions(list(paths))]


def test_folder_of_a_class(tmp_path):
    """Zips, folders, one level of folders between; nothing that somebody handed in vanishes."""
    root = tmp_path / "class"
    zips = ["b.zip", "a_123_456_submission.zip", "c.ZIP", "d.rar", "e.tar.gz", ".hidden.zip"]
    nested = [
        "m 1_2_assignsubmission_file_/submission.zip",
        "__MACOSX/x.zip",
        "s1/x.zip",
        "s1/y.zip",
    ]
    write_folder(root, {name: b"" for name in [*zips, *nested, "grades.csv", "README.txt"]})
    for name in ("team-01", "team-02/homework", "s2/team-03", "s2/team-04"):
        write_folder(root / name, CODE)
    write_folder(root / "team-05", {"report.pdf": b""})
    (root / "team-06").mkdir()
    expected = ["a_123_456_submission.zip", "b.zip", "c.ZIP", "d.rar", "e.tar.gz", nested[0]]
    expected += ["s1/x.zip", "s1/y.zip", "s2/team-03", "s2/team-04"]
    expected += ["team-01", "team-02", "team-05", "team-06"]
    assert find(root) == [f"class/{name}" for name in expected]


def test_single_paths_in_their_order_each_once(tmp_path):
    """Paths that are named one by one keep their order, without repeats."""
    zips = [write_zip(tmp_path / name, CODE) for name in ("z.zip", "a.zip")]
    folder = write_folder(tmp_path / "team-01", CODE)
    odd = write_folder(tmp_path, {"upload.bin": b""}) / "upload.bin"
    assert find(zips[0], folder, zips[1], odd, zips[0]) == [
        "z.zip",
        "team-01",
        "a.zip",
        "upload.bin",
    ]


def test_nothing_to_find(tmp_path):
    """Paths that hold no submission are refused with a printable reason."""
    write_folder(tmp_path / "notes", {"a/b.txt": b"", "c.txt": b""})
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, word in {
        "notes": "holds no submission",
        "empty": "holds no submission",
        "absent.zip": "does not exist",
        "pipe": "neither a file nor a folder",
        "a\0b": "not",
    }.items():
        with pytest.raises(Refused, match=word) as error:
            find_submissions([tmp_path / name])
        assert str(error.value).isprintable()


# Names


def test_names_tell_submissions_apart():
    """Moodle's files and submission.zip are named by their folder, others where they clash."""
    moodle = Path("/class/Team 7_12345_assignsubmission_file_/submission.zip")
    expected = {
        moodle: "Team 7_12345_assignsubmission_file_/submission.zip",
        Path("/class/team-08/submission (2).zip"): "team-08/submission (2).zip",
        Path("/class/team-09/hw2.zip"): "team-09/hw2.zip",
        Path("/class/team-10/hw2.zip"): "team-10/hw2.zip",
        Path("/a/x/y.zip"): "a/x/y.zip",
        Path("/b/x/y.zip"): "b/x/y.zip",
        Path("/class/team-11.zip"): "team-11.zip",
        Path("/class/submission"): "submission",
    }
    assert names_of(list(expected)) == expected
    assert names_of([moodle]) == {moodle: expected[moodle]}
    alone = Path("/class/team-10/hw2.zip")
    assert names_of([alone], expected.values()) == {alone: expected[alone]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Team.zip", "team.zip"),
        ("a b.zip", "a  b.zip"),
        ("a.zip", "a.zip "),
        pytest.param("zo\u00eb.zip", "zoe\u0308.zip", marks=any_name),
        pytest.param("stra\u00dfe.zip", "STRASSE.zip", marks=any_name),
        ("=1.zip", "'=1.zip"),
        ("a\nb.zip", "a b.zip"),
        pytest.param("a\u200db.zip", "ab.zip", marks=any_name),
    ],
)
def test_names_that_look_alike_get_a_hash(one, other):
    """Names that a file system or a sheet may take for the same differ by more in all outputs."""
    paths = [Path("/class") / one, Path("/class") / other]
    names = names_of(paths)
    assert alike(names[paths[0]]) != alike(names[paths[1]])
    assert all(name.startswith(f"class/{path.name} [") for path, name in names.items())
    assert names_of([paths[1]], [names[path] for path in paths]) != {}
    later = names_of([paths[1]], [one])  # the other one was graded before
    assert alike(later[paths[1]]) != alike(one)

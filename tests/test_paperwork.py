"""What is read beside the code: the team file, the report, results, and paths of the team."""

import base64
import struct
from pathlib import Path

import pytest

from helpers.files import ROOT
from helpers.hand_ins import (
    COMPLETE,
    JPEG,
    PNG,
    Files,
    read,
    read_zip,
    refused,
    write_zip,
)


def members(tmp_path: Path, content: bytes) -> tuple[list[tuple[str, str]], str]:
    """Names and NetIDs that a team.csv gives, and what was found."""
    submission = read_zip(tmp_path, {**COMPLETE, "team.csv": content})
    found = [(m["member"], m["netid"]) for m in submission.members]
    return found, " ".join(submission.findings)


@pytest.mark.parametrize(
    "content",
    [
        b"member,NetID,contribution\nAda,ada1,all\n",
        b"\xef\xbb\xbfmember,NetID,contribution\r\nAda,ada1,all\r\n\r\n,,\r\n",
        b"member;NetID;contribution\rAda;ada1;all\r",
        b"Contribution\tNet ID\tMEMBER \nall\tada1\t Ada\n",
        b'\n\nName , net-id,Contributions\n"Ada","ada1","all, with ""joy"""\n',
        b"member,NetID,contribution,year\nAda,ada1,all,2,x,y\n",
    ],
)
def test_team_files_that_say_the_same(tmp_path, content):
    """team.csv is read with any separator, encoding, case and order of columns."""
    assert members(tmp_path, content) == ([("Ada", "ada1")], "")


@pytest.mark.parametrize(
    ("content", "expected", "words"),
    [
        ((ROOT / "instructor/starter/team.csv").read_bytes(), [], "template's example"),
        (b"member,NetID,contribution\nAda,netid,all\n", [("Ada", "")], "template's example"),
        (
            b"member,NetID,contribution\nAda,ada1,what this member did\n",
            [("Ada", "ada1")],
            "example",
        ),
        (b"member,NetID,contribution\nAda,,all\n", [("Ada", "")], "leaves NetID empty: Ada"),
        (b"member,NetID,contribution\nAda,ada1\n", [("Ada", "ada1")], "contribution empty: Ada"),
        (b"member,NetID,contribution\nA B,a b,x\n", [("A B", "a b")], "several NetIDs in one line"),
        (
            b"member,NetID,contribution\nAda,ada1,x\nBo,ADA1,y\n",
            [("Ada", "ada1"), ("Bo", "ADA1")],
            "one NetID to several members: ada1",
        ),
        (b"member,NetID,contribution\n", [], "names nobody"),
        (b" \n\n", [], "empty"),
        (b"", [], "empty"),
        (b"member,NetID,contribution\nZo\xeb,zoe1,all\n", [], "not UTF-8"),
        (b"member,contribution\nAda,all\n", [("Ada", "")], "no column NetID"),
        (b"Ada,ada1,all\n", [], "no column member"),
        (b"\x89PNG\r\n\x1a\n\0\0", [], "not UTF-8"),
        (b"m" * 200_000, [], "more than"),
        (b'member,NetID\n"' + b"x" * 90_000, [("x" * 300, "")], "no column contribution"),
    ],
)
def test_team_files_with_mistakes(tmp_path, content, expected, words):
    """Each mistake in team.csv is a finding, and the members are still read."""
    found, findings = members(tmp_path, content)
    assert found == expected
    assert words in findings


def test_what_a_team_file_says_stays_text(tmp_path):
    """Markup and escapes in team.csv stay text."""
    row = '<b>Ada</b>,\x1b[31mada1\x1b[0m,"a\nb\u202e"\n'.encode()
    submission = read_zip(tmp_path, {**COMPLETE, "team.csv": b"member,NetID,contribution\n" + row})
    (member,) = submission.members
    assert member["member"] == "<b>Ada</b>"
    assert all(value.isprintable() for value in member.values())
    assert "ada1" in member["netid"]


def test_team_file_in_another_place_and_a_crowd(tmp_path):
    """team.csv is found elsewhere, and a crowd of members is cut and reported."""
    rows = "".join(f"Example {i},ex{i},x\n" for i in range(50))
    files = {n: c for n, c in COMPLETE.items() if n != "team.csv"}
    files["code/Team.csv"] = ("member,NetID,contribution\n" + rows).encode()
    submission = read_zip(tmp_path, files)
    assert len(submission.members) == 20
    assert any("50 members" in look for look in submission.needs_look)
    assert any("code/Team.csv" in note for note in submission.notes)


def test_reports(tmp_path):
    """A PDF counts by its first bytes, best in writeup/."""
    rest = {n: c for n, c in COMPLETE.items() if not n.startswith("writeup/")}

    def remarks(name: str, report: Files) -> tuple[list[str], list[str]]:
        (tmp_path / name).mkdir()
        submission = read_zip(tmp_path / name, {**rest, **report})
        return submission.notes, submission.findings

    assert remarks("a", {"writeup/my report.PDF": b"\n%PDF-1.4"}) == ([], [])
    assert remarks("b", {"writeup/report.md": b"# Report"}) == ([], ["There is no report as PDF"])
    notes, findings = remarks("c", {"writeup/report.pdf": b"<html>"})
    assert (notes, len(findings)) == ([], 1)
    assert "writeup/report.pdf" in findings[0]
    template = b"%PDF-1.5 stream\n(Your answer here) Tj endstream" * 9
    (tmp_path / "e").mkdir()
    submission = read_zip(tmp_path / "e", {**rest, "writeup/r.pdf": template})
    assert submission.needs_look[0].startswith("The report is the template: no question is")
    assert submission.findings == []
    (tmp_path / "f").mkdir()
    one_left = b"%PDF-1.5 stream\n(Your answer here) Tj endstream"
    submission = read_zip(tmp_path / "f", {**rest, "writeup/r.pdf": one_left})
    assert submission.needs_look[0].startswith("The report still says 'Your answer here' in 1 of 9")
    notes, findings = remarks("d", {"report.pdf": b"%PDF-1.4"})
    assert (findings, len(notes)) == ([], 1)
    assert "report.pdf" in notes[0]


def test_samples(tmp_path):
    """The first four real pictures, those called samples before the others; nothing is decoded."""
    wide = PNG[:16] + struct.pack(">II", 60_000, 60_000) + PNG[24:]
    bad = {"big.png": PNG + bytes(1_000_001), "bomb.png": wide, "art.png": b"<svg onload=x>"}
    bad |= {"cut.png": PNG[:20], "cut.jpg": JPEG[:10], "empty.png": b""}
    good = {"e.png": PNG, "f.JPG": JPEG, "a/g.jpeg": JPEG, "samples_z.png": PNG, "h.png": PNG}
    files = {f"results/{name}": content for name, content in {**bad, **good}.items()}
    submission = read_zip(tmp_path, {**COMPLETE, **files, "results/loss.svg": b"<svg/>"})
    names = [sample["name"] for sample in submission.samples]
    assert names == ["results/samples_z.png", "results/a/g.jpeg", "results/e.png", "results/f.JPG"]
    for sample in submission.samples:
        assert base64.b64decode(sample["png"], validate=True) == files[sample["name"]]
    assert any("not shown" in note and "and 3 more" in note for note in submission.notes)


def test_own_paths_and_known_problems_are_found(tmp_path):
    """Absolute paths in code and configs, and problems noted while packing, are findings."""
    files = {
        "code/a.py": b"x = 1\nopen('/home/ada/x')\n",
        "configs/b.yaml": b"data_folder: C:\\Users\\ada\\data\n",
        "code/fine.py": b"# '/home/ada/x'\nopen('data/x')\nurl = 'https://home/x'\n",
        "PROBLEMS.txt": b"  - there is no PDF in writeup/\n  - \x1b[2Jteam.csv is missing\n",
    }
    submission = read_zip(tmp_path, {**COMPLETE, **files})
    problems, paths = sorted(submission.findings, reverse=True)
    assert "2 problems" in problems
    assert "no PDF in writeup/" in problems
    assert "code/a.py, line 2" in paths
    assert "configs/b.yaml, line 1" in paths
    assert "fine.py" not in paths


@pytest.mark.parametrize(
    ("name", "team"),
    [
        ("team-07.zip", "team-07"),
        ("team.v2.ZIP", "team.v2"),
        ("team07_12345_67890_submission.zip", "team07"),
        ("team_07_12345_67890_final_1234_5678_x.zip", "team_07"),
        ("team07_LATE_12345_67890_submission-1.zip", "team07"),
        ("Team 7_12345_assignsubmission_file_/submission.zip", "Team 7"),
        ("team-08/submission (1).zip", "team-08"),
    ],
)
def test_names_of_teams(tmp_path, name, team):
    """The team's name is taken out of the file names of Canvas and Moodle."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    submission = read(write_zip(path, COMPLETE))
    assert submission.team == team
    assert submission.name == path.name
    assert any("late" in look for look in submission.needs_look) == ("_LATE_" in name)


def test_failing_disk_is_not_the_teams_fault(tmp_path):
    """An error of our own disk is said to be ours."""
    (tmp_path / "work").write_bytes(b"a file")
    path = write_zip(tmp_path / "a.zip", COMPLETE)
    refused(path, "could not be prepared here")

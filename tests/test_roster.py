"""People of a roster: read as each system exports it, matched with hand-ins, and one row each."""

import csv
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from autograder.course.manual import merge_manual
from autograder.course.people import HANDED_IN, NAMED, claims_of, seat, teams_of
from autograder.course.roster import CANVAS, GRADESCOPE, MOODLE, PLAIN, keep_roster, read_roster
from autograder.output.pages import write_submission
from autograder.output.sheets import write_sheets
from autograder.output.stored import load_grades
from autograder.reading.remarks import Remarks
from autograder.reading.submission import team_of
from autograder.results import Grade, Origin
from autograder.rubric import RULES, load_rubric
from autograder.text import InputError

from helpers.moodle_import import ImportEnds, import_grades
from helpers.scripts import assert_refused, call_program

RUBRIC = load_rubric()
ALPHABET = [("Ada Alpha", "aa1"), ("Bo Beta", "bb2"), ("Cy Gamma", "cc3"), ("Di Delta", "dd4")]
NUMBERED = [(number, *person) for number, person in enumerate(ALPHABET)]
CANVAS_EXPORT = [
    "Student,ID,SIS User ID,SIS Login ID,Section,Homework 1 (77)",
    "    Points Possible,,,,,10",
    '"Alpha, Ada",1001,S-1,aa1,Lecture,9',
    '"Beta, Bo",1002,S-2,BB2,Lecture,',
    '"Gamma, Cy",1003,S-3,cc3,Evening,4',
    '"Delta, Di",1004,S-4,dd4,Evening,',
    '"Student, Test",1999,,ffff,Lecture,',
]
WORKSHEET = [
    "Identifier,Full name,Email address,Status,Grade,Maximum grade,Last modified (grade)",
    "Participant 501,Ada Alpha,aa1@uni.example,Submitted,,12.00,-",
    "Participant 502,Bo Beta,bb2@uni.example,No submission,,12.00,-",
    "Participant 503,Cy Gamma,cc3@uni.example,Submitted,,12.00,-",
    "Participant 504,Di Delta,dd4@uni.example,Submitted,,12.00,-",
]
MOODLE_EXPORT = [
    "First name,Surname,ID number,Institution,Department,Email address,Course total",
    *(f"{name.replace(' ', ',')},S-{n},,,{key}@uni.example,3" for n, name, key in NUMBERED),
]  # fmt: skip
GRADESCOPE_EXPORT = [
    "First Name,Last Name,SID,Email,Role,Submissions",
    *(f"{name.replace(' ', ',')},S-{n},{key}@uni.example,Student,3" for n, name, key in NUMBERED),
    "Pat,Prof,,pp9@uni.example,Instructor,0",
]  # fmt: skip
PLAIN_FILE = [
    "name;id;netid;email",
    *(f"{name};{1001 + n};{key};{key}@uni.example" for n, name, key in NUMBERED),
]


def write(
    folder: Path, lines: list[str], name: str = "people.csv", encoding: str = "utf-8"
) -> Path:
    path = folder / name
    path.write_bytes("\r\n".join([*lines, ""]).encode(encoding))
    return path


def hand_in(name, points=5.0, team="", netids=(), bonus=0.0, **origin):
    """A grade with its points in unet and, as given, in a bonus part."""
    parts = RUBRIC.mark([])
    parts = [replace(p, points=points) if p.id == "unet" else p for p in parts]
    parts = [replace(p, points=bonus) if p.id == "bonus_edm" else p for p in parts]
    members = [{"member": f"Name of {netid}", "netid": netid} for netid in netids]
    return Grade(name, team=team, members=members, parts=parts, origin=Origin(**origin))


def roster_of(tmp_path, lines=CANVAS_EXPORT):
    return read_roster(write(tmp_path, lines))


def places(course):
    """Login, submission and how, of everybody who has a grade."""
    return {
        seat.person.login.lower(): (seat.grade.submission, seat.how)
        for seat in course.seats
        if seat.grade
    }


@pytest.mark.parametrize(
    ("lines", "kind", "first"),
    [
        (CANVAS_EXPORT, CANVAS, ("Alpha, Ada", "1001", "aa1", "")),
        (WORKSHEET, MOODLE, ("Ada Alpha", "501", "", "aa1@uni.example")),
        (MOODLE_EXPORT, MOODLE, ("Ada Alpha", "", "", "aa1@uni.example")),
        (GRADESCOPE_EXPORT, GRADESCOPE, ("Ada Alpha", "", "", "aa1@uni.example")),
        (PLAIN_FILE, PLAIN, ("Ada Alpha", "1001", "aa1", "aa1@uni.example")),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_rosters_of_all_systems_are_read(tmp_path, lines, kind, first, encoding):
    """Rosters of Canvas, Moodle and Gradescope, and plain ones, give the same people."""
    roster = read_roster(write(tmp_path, lines, encoding=encoding))
    assert roster.kind == kind
    assert len(roster.people) == 4, "no points row, test student or instructor"
    one = roster.people[0]
    assert (one.name, one.id, one.netid, one.email) == first
    for login in ("AA1", " aa1 ", "aa1@uni.example", "Aa1@Uni.Example"):
        assert roster.by_login(login) is one


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["a,b", "1,2"], ["is not a roster", "found a, b"]),
        (["name,netid"], ["nobody below"]),
        (["name,netid", "Ada,aa1", "Bo,AA1"], ["lines 2 and 3", "two people", "netid 'AA1'"]),
        (["name,netid", "Ada,"], ["line 2", "'Ada' has no id, NetID or email"]),
        (["name,netid", "Ada,aa1,x"], ["line 2", "more cells"]),
        (["name,netid", 'Ada,"aa1'], ["cannot be read"]),
        (["name,netid", *(f"P{n},p{n}" for n in range(20_001))], ["more than 20,000 people"]),
        (["name,netid", *(f"P{n},p" for n in range(500))], ["and 479 more"]),
        (["name,netid", *(f"P{n},p{n}" for n in range(100_000))], ["more than"]),
        ([""], ["is not a roster"]),
    ],
)
def test_mistakes_of_a_roster_are_sentences(tmp_path, lines, words):
    """Each mistake of a roster is a sentence with the file, and there are not too many of them."""
    path = write(tmp_path, lines)
    with pytest.raises(InputError) as error:
        read_roster(path)
    assert all(line.startswith(str(path)) for line in str(error.value).splitlines())
    assert len(str(error.value).splitlines()) <= 21
    for word in words:
        assert word in str(error.value)


def test_a_person_of_two_sections_is_one(tmp_path):
    """A person with two rows, one for each section, is one person."""
    lines = [*PLAIN_FILE, PLAIN_FILE[1]]
    assert len(read_roster(write(tmp_path, lines)).people) == 4


def test_ids_of_names_come_before_team_files(tmp_path):
    """Who handed in gets this hand-in's points, whoever else writes them into a team.csv."""
    roster = roster_of(tmp_path)
    own = hand_in("alpha_1001_70001_x.zip", 2, netids=["aa1"], system="canvas", person="1001")
    thief = hand_in(
        "beta_1002_70002_x.zip", 9, netids=["bb2", "AA1", "dd4"], system="canvas", person="1002"
    )
    course = seat([own, thief], roster, "latest")
    assert places(course) == {
        "aa1": (own.submission, HANDED_IN),
        "bb2": (thief.submission, HANDED_IN),
        "dd4": (thief.submission, NAMED),
    }
    assert [person.netid for person in course.absent()] == ["cc3"]


def test_somebody_whom_two_teams_name_is_left_to_a_person(tmp_path):
    """Someone named by two teams with different totals gets no grade by themselves."""
    roster = roster_of(tmp_path)
    grades = [
        hand_in("a.zip", 2, netids=["aa1", "dd4"]),
        hand_in("b.zip", 9, netids=["bb2", "dd4"]),
    ]
    course = seat(grades, roster, "latest")
    assert set(places(course)) == {"aa1", "bb2"}
    (one,) = course.undecided()
    assert "a.zip (2), b.zip (9)" in one.note
    (tmp_path / "manual.csv").write_text("submission,people\na.zip,aa1 dd4\n", encoding="utf-8")
    course = seat(merge_manual(grades, RUBRIC, tmp_path, roster=roster), roster, "latest")
    assert places(course)["dd4"] == ("a.zip", "manual.csv")


def test_a_team_that_the_roster_knows_takes_in_nobody_else(tmp_path):
    """A member whom the roster puts into another team is ignored."""
    lines = ["name,netid,team", "Ada,aa1,red", "Bo,bb2,blue", "Cy,cc3,red"]
    roster = roster_of(tmp_path, lines)
    for team in ("Red", "team-07"):
        one = hand_in("x.zip", team=team, netids=["aa1", "bb2", "cc3"])
        course = seat([one], roster, "latest")
        assert set(places(course)) == {"aa1", "cc3"}
        assert course.remarks(one) == ["Bo (bb2) is in team.csv; the roster has them in blue"]


def test_what_fits_nobody_is_listed_with_the_nearest_names(tmp_path):
    """A hand-in that matches nobody is reported with similar names of the roster."""
    roster = roster_of(tmp_path)
    odd = hand_in("x_9999_70001_x.zip", netids=["aa11", "Gama"], system="canvas", person="9999")
    course = seat([odd], roster, "latest")
    assert course.unmatched([odd]) == [odd]
    text = " ".join(course.remarks(odd))
    assert "Alpha, Ada (aa1)" in text
    assert "carries the id 9999" in text


def attempts():
    """A team's three hand-ins by one account, the last one late, and the points of each."""
    values = {"system": "canvas", "person": "1001"}
    return [
        hand_in("a_1001_100_x.zip", 3, upload=100, **values),
        hand_in("a_1001_200_x.zip", 6, upload=200, **values),
        hand_in("a_LATE_1001_300_x.zip", 4, upload=300, late=True, **values),
    ]


@pytest.mark.parametrize(("rule", "points"), [("latest", 4), ("best", 6), ("on-time", 6)])
def test_the_rule_says_which_hand_in_counts(tmp_path, rule, points):
    """latest, best and on-time each choose their hand-in, and the others are replaced."""
    assert rule in RULES
    grades = attempts()
    course = seat(grades[::-1], roster_of(tmp_path), rule)
    (one,) = [seat for seat in course.seats if seat.grade]
    assert one.grade.total == points
    assert len(course.replaced) == 2
    assert RULES[rule] in course.remarks(grades[0])[0]


def test_points_given_by_hand_stay_when_a_team_hands_in_again(tmp_path):
    """A new hand-in of a team keeps the points and comments of the earlier one."""
    roster = roster_of(tmp_path)
    first, second, third = attempts()
    by_hand = write(tmp_path, ["submission,report_unet,comment", f"{first.submission},2,Good"])
    merge_manual([first], RUBRIC, tmp_path, by_hand, roster)
    merged = merge_manual([first, second, third], RUBRIC, tmp_path, None, roster)
    assert [g.part("report_unet").points for g in merged] == [2, 2, 2]
    assert merged[2].notes == ["Comment: Good"]
    by_hand = write(tmp_path, ["submission,report_unet", f"{third.submission},1"])
    merged = merge_manual([first, second, third], RUBRIC, tmp_path, by_hand, roster)
    assert [g.part("report_unet").points for g in merged] == [2, 1, 1]


def test_an_override_takes_nothing_from_a_later_hand_in(tmp_path):
    """It is kept where the tests give less; where they give more by now, a person may look."""
    roster = roster_of(tmp_path)
    first, second, _ = attempts()
    second.parts = [replace(p, points=1) if p.id == "q_sample" else p for p in second.parts]
    rows = ["submission,override", f'{first.submission},"q_sample 0.5, why; p_sample 0.5, why"']
    by_hand = write(tmp_path, rows, "given.csv")
    one, other = merge_manual([first, second], RUBRIC, tmp_path, by_hand, roster)
    assert [one.part(p).points for p in ("q_sample", "p_sample")] == [0.5, 0.5]
    assert [other.part(p).points for p in ("q_sample", "p_sample")] == [1, 0.5]
    assert one.needs_look == []
    assert "q_sample 0.5, is not used, since the tests give 1 now" in other.needs_look[0]


def test_deductions_of_an_earlier_hand_in_stay_and_a_person_is_asked(tmp_path):
    """They may be for what the later one does right."""
    roster = roster_of(tmp_path)
    first, second, _ = attempts()
    by_hand = write(tmp_path, ["submission,deductions", f"{first.submission},1.5"], "given.csv")
    one, other = merge_manual([first, second], RUBRIC, tmp_path, by_hand, roster)
    assert (one.deductions, one.needs_look) == (1.5, [])
    assert other.deductions == 1.5
    assert "earlier hand-in, 1.5, replace 0" in other.needs_look[0]
    own = write(tmp_path, ["submission,deductions", f"{second.submission},0"], "given.csv")
    one, other = merge_manual([first, second], RUBRIC, tmp_path, own, roster)
    assert (one.deductions, other.deductions, other.needs_look) == (1.5, 0, [])


def test_hand_ins_of_the_same_people_are_one_teams(tmp_path):
    """Hand-ins with the same members are one team's, in any case and order of NetIDs."""
    roster = roster_of(tmp_path)
    grades = [
        hand_in("a.zip", netids=["aa1", "bb2"], date="2026-01-01"),
        hand_in("b.zip", netids=["BB2", "AA1"], date="2026-01-02"),
        hand_in("c.zip", netids=["aa1"], date="2026-01-03"),
        hand_in("nobody.zip"),
        hand_in("nothing.zip"),
    ]
    teams = teams_of(grades, claims_of(grades, roster))
    names = sorted([grade.submission for grade in team] for team in teams)
    assert names == [["a.zip", "b.zip"], ["c.zip"], ["nobody.zip"], ["nothing.zip"]]


def test_a_hand_in_may_join_what_were_two_teams(tmp_path):
    """By one account with other members, and with the members of another account's."""
    roster = roster_of(tmp_path)
    one = hand_in("1", netids=["aa1"], system="canvas", person="1001", upload=1)
    two = hand_in("2", netids=["aa1", "bb2"], system="canvas", person="1002", upload=2)
    both = hand_in("3", netids=["aa1", "bb2"], system="canvas", person="1001", upload=3)
    (team,) = teams_of([two, both, one], claims_of([two, both, one], roster))
    assert [grade.submission for grade in team] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("name", "team", "origin"),
    [
        ("alphaada_LATE_1001_70001_x.zip", "alphaada", ("canvas", "1001", 70001, True)),
        ("alphaada_1001_70001_x-1.zip", "alphaada", ("canvas", "1001", 70001, False)),
        ("anon_Ab3dE_70001_x.zip", "anon_Ab3dE", ("canvas", "", 70001, False)),
        ("LATE_anon_Ab3dE_70001_x.zip", "anon_Ab3dE", ("canvas", "", 70001, True)),
        ("Jo Doe_501_assignsubmission_file_/x.zip", "Jo Doe", ("moodle", "501", 0, False)),
        ("Jo Doe_501_assignsubmission_file_x.zip", "Jo Doe", ("moodle", "501", 0, False)),
        ("Participant_5_assignsubmission_file_/x.zip", "Participant 5", ("moodle", "5", 0, False)),
        ("team_1_2_final.zip", "team_1_2_final", ("", "", 0, False)),
    ],
)  # fmt: skip
def test_names_carry_the_person_and_late(tmp_path, name, team, origin):
    """Person, upload and lateness are read from the names that Canvas and Moodle give."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"no zip")
    found, at = team_of(path, Remarks())
    assert (found, (at.system, at.person, at.upload, at.late)) == (team, origin)


def test_unreadable_files_keep_their_person_and_late(tmp_path, sandbox, monkeypatch):
    """A broken zip still belongs to the person in its name."""
    folder = tmp_path / "class"
    folder.mkdir()
    (folder / "alphaada_LATE_1001_70001_x.zip").write_bytes(b"no zip")
    monkeypatch.setattr("autograder.batch.own_sandbox", lambda *order: sandbox)
    roster = write(tmp_path, CANVAS_EXPORT)
    out = tmp_path / "out"
    done = call_program("autograder/grade.py", folder, "--out", out, "--roster", roster)
    assert done.returncode == 0, done.stderr
    (grade,) = load_grades(out)
    assert (grade.origin.person, grade.origin.late, grade.team) == ("1001", True, "alphaada")
    assert "Canvas marks this submission as late" in grade.needs_look
    assert "1 of 4 people on the roster have a grade" in done.stdout
    assert (out / "roster.csv").read_text(encoding="utf-8").startswith("Student,ID")


def test_results_of_earlier_versions_are_read(tmp_path):
    """They say nothing of the name's ids."""
    write_submission(hand_in("a.zip"), RUBRIC, tmp_path)
    path = tmp_path / "a.zip" / "results.json"
    text = path.read_text(encoding="utf-8")
    start, end = text.index('  "origin": {'), text.index('  "members":')
    path.write_text(text[:start] + text[end:].replace('  "people": [],\n', ""), encoding="utf-8")
    assert load_grades(tmp_path) == [hand_in("a.zip")]


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sheets_of(tmp_path, lines, grades):
    roster = roster_of(tmp_path, lines)
    write_sheets(grades, RUBRIC, tmp_path, seat(grades, roster, "latest"))


def test_grades_csv_has_a_row_for_each_person_of_the_roster(tmp_path):
    """grades.csv lists all people of the roster, also those without a hand-in."""
    grades = [hand_in("a.zip", netids=["aa1", "bb2"]), hand_in("odd.zip", netids=["zz9"])]
    sheets_of(tmp_path, CANVAS_EXPORT, grades)
    rows = read(tmp_path / "grades.csv")
    assert [(r["netid"], r["submission"], r["total"]) for r in rows] == [
        ("aa1", "a.zip", "5"), ("BB2", "a.zip", "5"), ("cc3", "", ""), ("dd4", "", "")
    ]  # fmt: skip


def test_canvas_csv_has_canvass_ids_and_bonus_apart(tmp_path):
    """canvas.csv has Canvas's ids, capped points, and deductions taken off core, then bonus."""
    over = hand_in("a.zip", 14, netids=["aa1"], bonus=3.5)
    low = hand_in("b.zip", 1, netids=["bb2"], bonus=2)
    low.deductions = 1.5
    sheets_of(tmp_path, CANVAS_EXPORT, [over, low])
    rows = list(csv.reader((tmp_path / "canvas.csv").open(newline="")))
    assert rows[0][:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert rows[1][5:] == ["12", "0"]
    assert rows[2] == ["Alpha, Ada", "1001", "S-1", "aa1", "Lecture", "12", "3.5"]
    assert rows[3][5:] == ["0", "1.5"], "what the core cannot bear comes off the bonus"
    assert len(rows) == 4, "an empty cell would delete a score that Canvas has"


def test_an_edition_without_bonus_has_no_bonus_column(tmp_path):
    """Without bonus parts Canvas's sheet has no bonus column."""
    parts = tuple(part for part in RUBRIC.parts if not part.bonus)
    rubric = replace(RUBRIC, bonus=0, parts=parts)
    one = hand_in("a.zip", netids=["aa1"])
    course = seat([one], roster_of(tmp_path), "latest")
    write_sheets([one], rubric, tmp_path, course)
    rows = list(csv.reader((tmp_path / "canvas.csv").open(newline="")))
    assert [row[5:] for row in rows] == [["Diffusion models"], ["12"], ["5"]]
    assert "Bonus" not in read(tmp_path / "moodle.csv")[0]


@pytest.mark.parametrize("lines", [WORKSHEET, MOODLE_EXPORT, PLAIN_FILE])
def test_moodle_takes_the_sheet(tmp_path, lines):
    """By the rules of its importer; every person gets their own points, none above the maximum."""
    grades = [
        hand_in("a.zip", 13, netids=["aa1", "BB2"], bonus=2),
        hand_in("c.zip", 3, netids=["cc3"]),
    ]
    sheets_of(tmp_path, lines, grades)
    users = {f"{netid}@uni.example" for _, netid in ALPHABET}
    found = import_grades(tmp_path / "moodle.csv", users, {"Grade": RUBRIC.core, "Bonus": 16})
    assert found.grades == {
        "aa1@uni.example": {"Grade": 12, "Bonus": 2},
        "bb2@uni.example": {"Grade": 12, "Bonus": 2},
        "cc3@uni.example": {"Grade": 3, "Bonus": 0},
    }
    assert all("The UNet's decoder: " in text for text in found.feedback.values())


def test_ids_of_a_plain_roster_are_those_of_the_files_names(tmp_path):
    """They are in Canvas's column ID or Moodle's worksheet, after the files that were handed in."""
    people = ["name,id", "Ada Alpha,1001", "Bo Beta,1002"]
    sheets_of(tmp_path, people, [hand_in("a_1001_70001_x.zip", system="canvas", person="1001")])
    assert [row["ID"] for row in read(tmp_path / "canvas.csv")] == ["", "1001"]
    assert not (tmp_path / "moodle_worksheet.csv").exists()
    name = "A_1001_assignsubmission_file_/x.zip"
    sheets_of(tmp_path, people, [hand_in(name, system="moodle", person="1001")])
    (row,) = read(tmp_path / "moodle_worksheet.csv")
    assert row["Identifier"] == "Participant 1001"
    assert [row["ID"] for row in read(tmp_path / "canvas.csv")] == ["", ""]


def test_moodles_worksheet_names_participants(tmp_path):
    """The worksheet has Moodle's participant numbers and columns."""
    sheets_of(tmp_path, WORKSHEET, [hand_in("x", person="503", system="moodle")])
    (row,) = read(tmp_path / "moodle_worksheet.csv")
    assert (row["Identifier"], row["Grade"]) == ("Participant 503", "5")
    assert "Last modified (grade)" in row


def test_the_importers_checker_sees_what_moodle_would_do(tmp_path):
    """An empty user cell gives a row's points to the person before; others end the import."""
    maxima = {"Grade": 12.0}
    blank = write(tmp_path, ["Username,Grade", "aa1,5", ",9"])
    with pytest.raises(AssertionError, match="second row for aa1"):
        import_grades(blank, {"aa1"}, maxima)
    for line in ("zz9,5", "aa1,12.5", "aa1,good", ",5"):
        with pytest.raises(ImportEnds):
            import_grades(write(tmp_path, ["Username,Grade", line]), {"aa1"}, maxima)


def test_formulas_of_a_roster_do_not_run(tmp_path):
    """Cells that a spreadsheet would run as a formula are made harmless."""
    lines = ["name,netid,section", "=HYPERLINK(1),aa1,+1", "\x1b[2J,bb2,@x"]
    sheets_of(tmp_path, lines, [hand_in("a.zip", netids=["aa1", "bb2"])])
    for name in ("grades.csv", "canvas.csv", "moodle.csv"):
        for row in csv.reader((tmp_path / name).open(encoding="utf-8", newline="")):
            assert not any(cell.startswith(("=", "+", "@", "\x1b")) for cell in row), (name, row)


def test_a_bad_roster_stops_before_anything_is_graded_or_written(tmp_path):
    """A file that is not a roster is refused before any grading."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("code/x.py", "")
    bad = write(tmp_path, ["nothing,here"])
    out = tmp_path / "out"
    done = call_program("autograder/grade.py", tmp_path / "a.zip", "--out", out, "--roster", bad)
    assert_refused(done, "is not a roster")
    assert not out.exists()


def test_the_roster_is_kept_with_the_results(tmp_path):
    """The roster is stored, and used again by later runs."""
    keep_roster(tmp_path, write(tmp_path, CANVAS_EXPORT, encoding="utf-8-sig"))
    assert keep_roster(tmp_path, None).kind == CANVAS
    assert keep_roster(tmp_path, tmp_path / "roster.csv").kind == CANVAS


def test_people_of_manual_csv_must_be_on_the_roster(tmp_path):
    """An unknown person in manual.csv is refused with the nearest names."""
    roster = roster_of(tmp_path)
    file = write(tmp_path, ["submission,people", "a.zip,aa11"])
    with pytest.raises(
        InputError, match=r"nobody on the roster has the login 'aa11'; the nearest are Alpha, Ada"
    ):
        merge_manual([hand_in("a.zip")], RUBRIC, tmp_path, file, roster)

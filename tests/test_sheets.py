"""The sheets: right columns and rows, no formulas; a person's points survive everything."""

import csv
import io
import re

import pytest
from autograder.course.manual import merge_manual
from autograder.output import sheets
from autograder.output.pages import write_submission
from autograder.output.stored import load_grades
from autograder.results import FAILED, NOT_ATTEMPTED, PASSED, Grade, TestResult
from autograder.rubric import load_rubric
from autograder.text import InputError

RUBRIC = load_rubric()
AUTOMATIC = "unet q_sample p_sample p_sample_loop compute_loss latent".split()
MANUAL = RUBRIC.manual_ids
BONUS = {"bonus_evaluation": ["fid", "memorization"], "bonus_sampling": ["step", "loop"]}
BONUS["bonus_edm"] = ["denoise", "loss", "heun"]
BONUS["bonus_scaling"] = ["unet", "names", "guidance"]


def grade(name, failed=(), members=1, **values):
    """A grade whose automatic parts all passed but those named."""
    tests = [
        TestResult(part, "test_x", FAILED if part in failed else PASSED, group, reason="Wrong.")
        for part in AUTOMATIC
        for group in (["encode", "decode"] if part == "latent" else [""])
    ]
    people = [{"member": f"Example {c}", "netid": f"{name}{c}"} for c in "abc"[:members]]
    fields = {"team": name, "members": people, "parts": RUBRIC.mark(tests), **values}
    return Grade(f"{name}.zip", **fields)


CLASS = [grade("team-01", members=2), grade("team-02", ["unet", "latent"]), grade("team-03")]


def write(folder, *rows, name="by-hand.csv"):
    path = folder / name
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def points(grades, submission, part):
    return next(g for g in grades if g.submission == submission).part(part).points


def refused(folder, file, *words):
    """Merging fails with these words, and nothing was written."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError) as error:
        merge_manual(CLASS, RUBRIC, folder, file)
    for word in words:
        assert word in str(error.value)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    return str(error.value).splitlines()


def test_grades_csv_has_the_columns_that_are_promised(tmp_path):
    """Instructors' own spreadsheets build on these columns: one row for each member."""
    unknown = grade("team-04", members=0, team="", deductions=0.6)
    sheets.write_sheets([unknown, *CLASS], RUBRIC, tmp_path)
    rows = read(tmp_path / "grades.csv")
    columns = ["submission", "team", "member", "netid", *AUTOMATIC, *MANUAL, "deductions", "total"]
    assert list(rows[0]) == columns
    assert [row["submission"] for row in rows] == [
        "team-01.zip", "team-01.zip", "team-02.zip", "team-03.zip", "team-04.zip"
    ]  # fmt: skip
    assert [row["netid"] for row in rows] == ["team-01a", "team-01b", "team-02a", "team-03a", ""]
    assert [row["total"] for row in rows] == ["6", "6", "4", "6", "5.4"]
    assert (rows[2]["unet"], rows[2]["latent"], rows[2]["q_sample"]) == ("0", "0", "1")
    assert all(row[part] == ("0" if part in BONUS else "") for row in rows for part in MANUAL)
    assert (rows[4]["team"], rows[4]["member"], rows[4]["deductions"]) == ("", "", "0.6")


EVIL = [
    "=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(A1)", "\t=1", " =1", "\r=1", "\n=1", "\uff1d1+1",
    "a;=1+1", "a; =1+1", "x\n=1", "\u202e=1", "=\x1b[31m",
]  # fmt: skip


@pytest.mark.parametrize("evil", EVIL)
def test_spreadsheets_run_nothing(tmp_path, evil):
    """Read as sheets with commas and, as some countries do, with semicolons between cells."""
    bad = grade("x", team=evil, members=0)
    bad.members = [{"member": evil, "netid": evil}]
    bad.submission, bad.notes = evil, [evil]
    bad.part("unet").reason = evil
    sheets.write_sheets([bad], RUBRIC, tmp_path)
    merge_manual([bad], RUBRIC, tmp_path)
    for name in ("grades.csv", "canvas.csv", "moodle.csv", "manual.csv"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\r\t]", text)
        for delimiter in ",;":
            for row in csv.reader(io.StringIO(text), delimiter=delimiter):
                for cell in row:
                    assert not re.match(r"\s*[=+\-@\uff1d]", cell), (name, delimiter, row)


def test_names_that_are_no_formulas_stay_as_they_are(tmp_path):
    """The defence against formulas spoils no name."""
    for name in ("O'Example-Name", "Žofie Příklad", "例 名", "a=b", "name@example.org", 'the "x"'):
        sheets.write_sheets([grade("t", team=name)], RUBRIC, tmp_path)
        assert read(tmp_path / "grades.csv")[0]["team"] == name


def test_canvas_csv_is_what_its_import_wants(tmp_path):
    """One row a person with a login, below the header and the points possible."""
    sheets.write_sheets([*CLASS, grade("team-04", members=0)], RUBRIC, tmp_path)
    rows = list(csv.reader((tmp_path / "canvas.csv").open(newline="")))
    assert rows[0] == [
        "Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Diffusion models",
        "Diffusion models bonus",
    ]  # fmt: skip
    assert (rows[1][0].strip(), rows[1][-2:]) == ("Points Possible", ["12", "0"])
    assert rows[4] == ["Example a", "", "", "team-02a", "", "4", "0"]
    assert len(rows) == 2 + 4


def test_a_netid_of_two_teams_gets_one_row_or_none(tmp_path):
    """Totals that differ leave a person out of both sheets, equal ones give one row."""
    thief = grade("team-02", ["unet"])
    thief.members += [{"member": "Me", "netid": netid} for netid in (" TEAM-01A ", "team-02a")]
    equal = grade("team-03")
    equal.members += [{"member": "Me", "netid": "Team-01b"}]
    grades = [grade("team-01", members=2), thief, equal]
    found = sheets.contested(grades)
    assert {netid: [g.team for g in of] for netid, of in found.items()} == {
        "team-01a": ["team-01", "team-02"]
    }
    sheets.write_sheets(grades, RUBRIC, tmp_path)
    expected = ["team-01b", "team-02a", "team-03a"]
    rows = list(csv.reader((tmp_path / "canvas.csv").open(newline="")))
    assert sorted(row[3] for row in rows[2:]) == expected
    assert sorted(row["Username"] for row in read(tmp_path / "moodle.csv")) == expected
    assert len(read(tmp_path / "grades.csv")) == 7


def test_moodle_csv_finds_people_and_tells_them_why(tmp_path):
    """By user name or address, whichever was given, with the reason of each deduction."""
    mail = grade("team-05", deductions=0.6, deduction_reasons=["no PDF: 0.6 points"])
    mail.members = [
        {"member": "Example", "netid": "Ex@example.org"},
        {"member": "B", "netid": "BC"},
    ]
    sheets.write_sheets([CLASS[1], mail], RUBRIC, tmp_path)
    rows = read(tmp_path / "moodle.csv")
    assert list(rows[0]) == ["Username", "Full name", "Grade", "Bonus", "Feedback comments"]
    assert [(r["Username"], r["Grade"]) for r in rows] == [("team-02a", "4"), ("bc", "5.4")]
    assert "The UNet's decoder: 0 of 1. Wrong." in rows[0]["Feedback comments"]
    assert "no PDF: 0.6 points" in rows[1]["Feedback comments"]
    assert "Report" not in rows[0]["Feedback comments"], "no word on what nobody graded yet"


def test_a_persons_points_deductions_and_comments_are_merged(tmp_path):
    """They add to the tests' points, and a person's deduction replaces the grader's."""
    file = write(
        tmp_path,
        "submission,report_unet,report_mnist,deductions,comment",
        'team-02.zip,1.5,2,0.6,"Good figures, too"',
        "team-01.zip,2,,0,",
    )
    late = grade("team-01", deductions=1.2, deduction_reasons=["late: 1.2 points"])
    grades = [late, *CLASS[1:]]
    merged = merge_manual(grades, RUBRIC, tmp_path, file)
    assert [g.total for g in merged] == [8, 4 + 1.5 + 2 - 0.6, 6]
    assert merged[1].notes == ["Comment: Good figures, too"]
    assert merged[0].deductions == 0, "a person may lift what the grader took off"
    assert points(merged, "team-01.zip", "report_mnist") is None
    assert late.deductions == 1.2, "the grades given stay as they are"
    assert points(grades, "team-02.zip", "report_unet") is None
    sheets.write_sheets(merged, RUBRIC, tmp_path)
    row = next(r for r in read(tmp_path / "grades.csv") if r["submission"] == "team-02.zip")
    assert (row["report_unet"], row["report_mnist"], row["report_afhq"]) == ("1.5", "2", "")
    assert (row["deductions"], row["total"]) == ("0.6", "6.9")
    assert "Good figures, too" in (tmp_path / "moodle.csv").read_text(encoding="utf-8")


def test_a_persons_points_come_beside_those_of_the_tests(tmp_path):
    """A mixed part: 2 by tests and 2 at most by a person; merging twice adds nothing twice."""
    groups = [(part, group) for part, both in BONUS.items() for group in both]
    tests = [TestResult(part, "test_x", PASSED, group) for part, group in groups]
    parts = RUBRIC.mark(tests)
    grades = [Grade("team-01.zip", team="team-01", parts=parts)]
    assert [(p.points, p.max_points) for p in parts if p.id in BONUS] == [(2, 2)] * 4
    file = write(tmp_path, "submission,bonus_evaluation", "team-01.zip,2")
    merge_manual(grades, RUBRIC, tmp_path, file)
    (merged,) = merge_manual(grades, RUBRIC, tmp_path)
    part = merged.part("bonus_evaluation")
    assert (part.earned, part.possible, part.by_person) == (4, 4, 2)
    assert (merged.part("bonus_sampling").points, merged.total) == (2, 10)
    assert points(grades, "team-01.zip", "bonus_evaluation") == 2, "the grades given stay"


def test_a_person_gives_no_more_than_the_rubrics_share(tmp_path):
    """A typing error gives nobody 25 points."""
    file = write(tmp_path, "submission,bonus_evaluation", "team-01.zip,2.5")
    refused(tmp_path, file, "bonus_evaluation", "2.5", "2")


def test_a_person_grades_another_formulation_in_full(tmp_path):
    """Where a bonus part's stubs are untouched, a person may give all of its points, not more."""
    tests = [TestResult("bonus_edm", "test_x", NOT_ATTEMPTED, g) for g in BONUS["bonus_edm"]]
    grades = [Grade("team-01.zip", team="team-01", parts=RUBRIC.mark(tests))]
    file = write(tmp_path, "submission,bonus_edm", "team-01.zip,4")
    (merged,) = merge_manual(grades, RUBRIC, tmp_path, file)
    assert merged.part("bonus_edm").earned == 4
    write_submission(grades[0], RUBRIC, tmp_path, merged)
    assert "4 of 4 more" in (tmp_path / "team-01.zip" / "report.html").read_text(encoding="utf-8")
    file = write(tmp_path, "submission,bonus_edm", "team-01.zip,4.5")
    with pytest.raises(InputError, match=r"between 0 and 4, not 4\.5"):
        merge_manual(grades, RUBRIC, tmp_path, file)


def test_rows_may_name_the_team(tmp_path):
    """A person need not know names of files."""
    file = write(tmp_path, "team,report_unet", "team-03,2")
    merged = merge_manual(CLASS, RUBRIC, tmp_path, file)
    assert points(merged, "team-03.zip", "report_unet") == 2


def test_grading_one_team_again_keeps_its_points_and_the_other_teams_rows(tmp_path):
    """The whole way: grade three, add points, grade one again with another outcome."""
    for one in CLASS:
        write_submission(one, RUBRIC, tmp_path)
    file = write(tmp_path, "submission,report_unet", "team-01.zip,2", "team-02.zip,1")
    merge_manual(load_grades(tmp_path), RUBRIC, tmp_path, file)
    write_submission(grade("team-02"), RUBRIC, tmp_path)
    final = merge_manual(load_grades(tmp_path), RUBRIC, tmp_path)
    for one, merged in zip(load_grades(tmp_path), final, strict=True):
        write_submission(one, RUBRIC, tmp_path, merged)
    again = merge_manual(load_grades(tmp_path), RUBRIC, tmp_path)
    assert [g.total for g in again] == [8, 7, 6], "merging twice counts nothing twice"


def test_a_second_file_adds_to_the_first(tmp_path):
    """Two people grade: empty cells and missing rows of one leave the other's points alone."""
    first = write(tmp_path, "submission,report_unet,comment", "team-01.zip,2,Nice", name="a.csv")
    second = write(
        tmp_path, "submission,report_unet,report_mnist", "team-01.zip,,1", "team-02.zip,1,",
        name="b.csv",
    )  # fmt: skip
    merge_manual(CLASS, RUBRIC, tmp_path, first)
    merged = merge_manual(CLASS, RUBRIC, tmp_path, second)
    assert points(merged, "team-01.zip", "report_unet") == 2
    assert points(merged, "team-01.zip", "report_mnist") == 1
    assert points(merged, "team-02.zip", "report_unet") == 1
    assert merged[0].notes == ["Comment: Nice"]


def test_manual_csv_can_be_filled_in_where_it_lies(tmp_path):
    """It has a row for each submission, also for one whose name a sheet has to quote."""
    odd = grade("=odd")
    merge_manual([*CLASS, odd], RUBRIC, tmp_path)
    rows = read(tmp_path / "manual.csv")
    assert list(rows[0]) == ["submission", *MANUAL, "deductions", "override", "comment"]
    assert len(rows) == 4
    with (tmp_path / "manual.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows([{**row, "report_afhq": "1.5"} for row in rows])
    merged = merge_manual([*CLASS, odd], RUBRIC, tmp_path, tmp_path / "manual.csv")
    assert [g.part("report_afhq").points for g in merged] == [1.5] * 4


def test_points_of_submissions_that_are_not_there_today_are_kept(tmp_path):
    """Grading a part of the class loses no points of the others."""
    file = write(tmp_path, "submission,report_unet", "team-01.zip,2", "team-03.zip,1")
    merge_manual(CLASS, RUBRIC, tmp_path, file)
    merge_manual(CLASS[:1], RUBRIC, tmp_path)
    merged = merge_manual(CLASS, RUBRIC, tmp_path)
    assert points(merged, "team-03.zip", "report_unet") == 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["submission,report_unet", "team-11.zip,1"], ["line 2", "'team-11.zip'", "did you mean"]),
        (["team,report_unet", "team-9,1"], ["there is no team 'team-9'"]),
        (["submission,report_unet", "team-01.zip,2.5"], ["report_unet", "between 0 and 2", "2.5"]),
        (["submission,bonus_scaling", "team-01.zip,3"], ["between 0 and 2"]),
        (["submission,report_unet", "team-01.zip,-1"], ["between 0 and 2"]),
        (["submission,report_unet", "team-01.zip,good"], ["must be a number, not 'good'"]),
        (["submission,report_unet", "team-01.zip,nan"], ["must be a number, not 'nan'"]),
        (["submission,deductions", "team-01.zip,5%"], ["deductions must be a number"]),
        (["submission,report_unet", "team-01.zip,1", "team-01.zip,2"], ["line 3", "second row"]),
        (["submission,team,report_unet", "team-01.zip,,1", ",team-01,2"], ["second row"]),
        (["submission,raport_unet", "team-01.zip,1"], ["'raport_unet'", "mean 'report_unet'"]),
        (["submission,q_sample", "team-01.zip,1"], ["'q_sample'", "the tests grade"]),
        (["submission,report_unet,report_unet", "team-01.zip,1,2"], ["more than once"]),
        (["report_unet", "1"], ["needs a column 'submission' or 'team'"]),
        (["submission,report_unet", ",1"], ["names neither a submission nor a team"]),
        (["submission,report_unet", "team-01.zip,1,2"], ["more cells than columns"]),
        (["submission,comment", 'team-01.zip,"open'], ["cannot be read"]),
        (["submission,days_late", "team-01.zip,2"], ["has no policy", "'late'", "--rubric"]),
        (["submission,people", "team-01.zip,aa1"], ["name one with --roster"]),
        ([""], ["needs a column"]),
    ],
)
def test_mistakes_in_a_persons_file_get_a_sentence_and_change_nothing(tmp_path, rows, words):
    """File, row and column are named before anything is stored."""
    file = write(tmp_path, *rows)
    refused(tmp_path, file, str(file), *words)


@pytest.mark.parametrize(
    ("rows", "words", "lines"),
    [
        ([f"team-{n},1" for n in range(100_000)], "more than 30,000 rows", 1),
        ([f"nobody-{n},1" for n in range(2_000)], "correct these first", 51),
        (["x" * 31_000_000], "larger than 30 MB", 1),
    ],
    ids=["rows", "mistakes", "bytes"],
)
def test_large_files_are_a_few_sentences(tmp_path, rows, words, lines):
    """Whatever is in them, and however long: no list of a hundred thousand mistakes."""
    file = write(tmp_path, "submission,report_unet", *rows)
    found = refused(tmp_path, file, words)
    assert len(found) == lines


def test_all_mistakes_of_a_file_are_listed_at_once(tmp_path):
    """Nobody mends them one run at a time."""
    rows = ["submission,report_unet,x", "team-01.zip,9,", "nobody,1,", "team-02.zip,a,"]
    assert len(refused(tmp_path, write(tmp_path, *rows))) == 4


def test_a_team_name_that_two_submissions_have_is_no_key(tmp_path):
    """No points go to the wrong one of two."""
    twins = [*CLASS, grade("team-09", team="team-01")]
    file = write(tmp_path, "team,report_unet", "team-01,1")
    with pytest.raises(InputError, match=r"several.*team-01\.zip, team-09\.zip"):
        merge_manual(twins, RUBRIC, tmp_path, file)


def test_files_that_cannot_be_read_get_a_sentence(tmp_path):
    """Missing, or saved by a spreadsheet in another encoding."""
    refused(tmp_path, tmp_path / "nowhere.csv", "nowhere.csv cannot be read", "No such file")
    (tmp_path / "latin.csv").write_bytes(b"submission,comment\nteam-01.zip,Gr\xfc\xdfe\n")
    refused(tmp_path, tmp_path / "latin.csv", "save it as CSV in UTF-8")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_what_a_spreadsheet_in_another_country_saves_is_read(tmp_path, delimiter):
    """With a byte order mark, semicolons, and commas in numbers."""
    text = "\ufeffSubmission;report_unet;comment\r\nteam-01.zip;1,5;a, b\r\n;;\r\n"
    (tmp_path / "x.csv").write_text(text.replace(";", delimiter), encoding="utf-8", newline="")
    merged = merge_manual(CLASS, RUBRIC, tmp_path, tmp_path / "x.csv")
    assert points(merged, "team-01.zip", "report_unet") == 1.5
    assert merged[0].notes == ["Comment: a, b"]

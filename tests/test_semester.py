"""A class of forty teams from its roster to its orals, as instructor/grading.md tells it."""

import csv
import json
import re
import shutil
import zipfile
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
import yaml
from instructor.submissions.overlay import Scenario, scenarios

from helpers.devtools import driven_tab
from helpers.feedback_names import canvas_finds
from helpers.files import ROOT
from helpers.gradescope_format import TEST, TOP, check_fields
from helpers.moodle_import import import_grades
from helpers.quizzes import read_gift, read_qti
from helpers.scripts import run_script

TEAMS = 40  # of two
MISTAKES = [  # of the first teams in the first round, and the points that are left of 6
    ("q_sample_coefficients_swapped", 5),
    ("q_sample_t_counted_from_one", 5),
    ("p_sample_recip_on_x_only", 5),
    ("loop_index_one_higher", 4.5),
    ("loss_error_not_squared", 4.5),
    ("unet_skips_left_out", 5),
    ("latent_encoded_twice", 5.5),
    ("q_sample_t_counted_from_one", 5),
    ("unet_no_upsample", 5),
    ("loss_under_no_grad", 4.5),
]
BAD, NOTHING = 10, 11  # whose zip is none, and who hands in nothing
LATE, EXTENDED, TOO_LATE = 12, 13, 14
BONUS = 15  # with DDIM
HALF = range(16, 26)  # one of the two files, the other as it was given
COURSE = ["code/libs/ddpm.py", "code/libs/unet.py"]  # where all but the bonus is
GRADE = "autograder/grade.py"
SIDE_BY_SIDE = "e => new Set([...e.children].map(f => f.getBoundingClientRect().top)).size == 1"


def person(team: int, member: int) -> tuple[str, str, str]:
    """Name, Canvas's id and NetID; the names have letters of several alphabets."""
    first = ("Žofie", "Ada", "Jörg", "李", "Nuño", "Ola", "D'Arcy", "Anne-Marie")[team % 8]
    number = 1000 + 10 * team + member
    return f"{first} {('First', 'Second')[member]}{team}", f"{number}", f"s{team}x{member}"


def roster(file: Path) -> Path:
    """Canvas's export of the class, with two days granted to one team."""
    rows = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "extension"]]
    rows.append(["    Points Possible", "", "", "", "", ""])
    for team in range(TEAMS):
        for member in (0, 1):
            name, number, netid = person(team, member)
            granted = "2" if team == EXTENDED else ""
            rows.append([name, number, f"S{number}", netid.upper(), "Lecture", granted])
    with file.open("w", encoding="utf-8", newline="") as sheet:
        csv.writer(sheet).writerows(rows)
    return file


@cache
def files_of(base: str) -> dict[str, bytes]:
    """All files of the reference, or of the starter."""
    return Scenario("right", base, "", base).files()


@cache
def answers() -> list[dict[str, str]]:
    """Unusual right answers of the parts that are no bonus, by their places."""
    found = [s for s in scenarios("right") if s.base == "reference" and not (s.own or s.remove)]
    return [
        s.places for s in found if s.places and all(p[:4] in ("ddpm", "unet") for p in s.places)
    ]


def work_of(team: int, upload: int) -> Scenario:
    """What a team built: one mistake, an unusual right answer, half of it, or a bonus part, too."""
    if team in HALF:  # the network alone, or all but the network
        file = COURSE[team % 2]
        own = {file: files_of("reference")[file]}
        return Scenario("right", f"team{team}", "", "starter", own=own)
    places = answers()[team * len(answers()) // TEAMS]
    if team < len(MISTAKES):
        wrong = {scenario.name: scenario.places for scenario in scenarios("wrong")}
        places = wrong[MISTAKES[team][0]] if upload == 1 else {}
    given, done = files_of("starter"), [*COURSE, *["code/libs/ddim.py"] * (team == BONUS)]
    own = {f: given[f] for f in given if given[f] != files_of("reference")[f] and f not in done}
    return Scenario("right", f"team{team}", "", "reference", places=places, own=own)


def hand_in(folder: Path, team: int, upload: int) -> str:
    """A zip as Canvas names it, with the team's own team.csv; returns its name."""
    folder.mkdir(exist_ok=True)
    first, number, _ = person(team, 0)
    late = "_LATE" if team in (LATE, EXTENDED, TOO_LATE) else ""
    account = re.sub(r"\W", "", first.lower())
    path = folder / f"{account}{late}_{number}_{1000 * upload + team}_submission.zip"
    if team == BAD and upload == 1:
        path.write_bytes(b"not a zip")
        return path.name
    work = work_of(team, upload)
    members = "".join(f"{person(team, m)[0]},{person(team, m)[2]},half\n" for m in (0, 1))
    work.own["team.csv"] = f"member,NetID,contribution\n{members}".encode()
    work.zip_to(path)
    return path.name


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as sheet:
        return list(csv.DictReader(sheet))


def write_manual(out: Path, changes: dict[str, dict[str, str]]) -> None:
    """Fill cells of manual.csv as a person does."""
    found = rows(out / "manual.csv")
    for row in found:
        row.update(changes.get(row["submission"], {}))
    with (out / "manual.csv").open("w", encoding="utf-8", newline="") as sheet:
        writer = csv.DictWriter(sheet, list(found[0]))
        writer.writeheader()
        writer.writerows(found)


@dataclass
class Semester:
    """What came of it.

    Attributes:
        out: the folder of grades.
        said: what each step printed.
        totals: by submission, after each step, of those that count.
        names: of the hand-ins, by team and round.
    """

    out: Path
    said: dict[str, str] = field(default_factory=dict)
    totals: dict[str, dict[str, float]] = field(default_factory=dict)
    names: dict[tuple[int, int], str] = field(default_factory=dict)


def teach(work: Path) -> Semester:
    """All steps, one after the other."""
    out = work / "grades"
    rubric = yaml.safe_load((ROOT / "autograder/rubric.yaml").read_text(encoding="utf-8"))
    due = {"due": "2026-10-20 23:59 -07:00", "percent": 10, "days": 4, "budget": 1}
    rubric["late"] = due
    (work / "rubric.yaml").write_text(yaml.safe_dump(rubric, sort_keys=False), encoding="utf-8")
    done = Semester(out)
    said, totals, names = done.said, done.totals, done.names

    def grade(step: str, *args: object, script: object = GRADE) -> None:
        common = ["--rubric", work / "rubric.yaml"]
        if args[0] not in ("feedback", "viva"):
            common += ["--out", out, "--jobs", 2]
        process = run_script(script, *args, *common)
        assert process.returncode == 0, (step, process.stdout, process.stderr)
        said[step] = process.stdout
        graded = [row for row in rows(out / "grades.csv") if row["total"]]
        totals[step] = {row["submission"]: float(row["total"]) for row in graded}

    for team in range(TEAMS):
        if team != NOTHING:
            names[team, 1] = hand_in(work / "round1", team, 1)
    grade("first round", work / "round1", "--roster", roster(work / "people.csv"), "--seed", 5)

    (out / "comments.yaml").write_text(
        "missing-axis: {text: An axis has no label., points: -0.25, part: report_mnist}\n"
    )
    given = {name: {"report_mnist": "2", "comment": "c: missing-axis"} for name in names.values()}
    given[names[LATE, 1]]["days_late"] = "3"
    given[names[TOO_LATE, 1]]["days_late"] = "6"
    write_manual(out, given)
    grade("manual points", "--manual", out / "manual.csv")

    for team in (0, BAD):
        names[team, 2] = hand_in(work / "round2", team, 2)
    grade("second round", work / "round2", "--seed", 5)

    appeal = {"override": "p_sample 0.5, the mean is right"}
    write_manual(out, {names[2, 1]: appeal})
    grade("appeal", "--manual", out / "manual.csv")

    other = work / "kit"  # where q_sample is asked for nothing any more
    for name in ("autograder", "code"):
        shutil.copytree(ROOT / name, other / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "zip_submission.py", other / "zip_submission.py")
    file = other / "autograder/tests/test_q_sample.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r"(?m)^(def test_.*\n)", r"\1    return\n", text), encoding="utf-8")
    changed = ("--part", "q_sample", "--against", out)
    grade("changed test", work / "round1", *changed, script=other / GRADE)

    grade("feedback", "feedback", out, "--canvas")
    grade("viva", "viva", out, "--pdf")
    return done


@pytest.mark.slow
def test_a_semester(tmp_path):
    """Forty teams are graded, appeal, are graded again and asked, as instructor/grading.md says.

    The pictures there are made of those that this leaves in its folder.
    """
    pytest.importorskip("fpdf", reason="viva --pdf needs requirements/grade.txt")
    semester = teach(tmp_path)
    check_points(semester)
    check_sheets(semester)
    look_at_pages(semester, tmp_path)  # last, since it skips where there is no browser


def check_points(semester: Semester) -> None:
    """Everybody of the roster has a row, and each step changes what it should and no more."""
    out, said, totals, names = semester.out, semester.said, semester.totals, semester.names
    first = {team: names[team, 1] for team in range(TEAMS) if team != NOTHING}

    # the first round: mistakes cost their part, what cannot be read costs all
    tested = totals["first round"]
    whole = [t for t in first if t >= len(MISTAKES) and t not in (BAD, BONUS, *HALF)]
    assert {tested[first[team]] for team in whole} == {6}  # a day late is free, whoever it is
    assert [tested[first[team]] for team in range(len(MISTAKES))] == [left for _, left in MISTAKES]
    assert [tested[first[team]] for team in HALF] == [5, 1] * 5
    assert (tested[first[BAD]], tested[first[BONUS]]) == (0, 8)
    sheet = rows(out / "grades.csv")
    assert len(sheet) == 2 * TEAMS
    assert sorted(row["netid"] for row in sheet if not row["total"]) == sorted(
        person(NOTHING, member)[2].upper() for member in (0, 1)
    )

    # what a person gave: 2 less a named comment of 0.25; and 10 percent of 12 a day
    given = totals["manual points"]
    assert given[first[BONUS]] == 9.75
    assert given[first[LATE]] == pytest.approx(7.75 - 2 * 1.2)
    assert given[first[EXTENDED]] == 7.75
    assert given[first[TOO_LATE]] == 0

    # the second round replaces the first of two teams, and what a person gave stays
    second = totals["second round"]
    assert second[names[0, 2]] == second[names[BAD, 2]] == 7.75
    replaced = {first[0], first[BAD]}
    assert second.items() - given.items() == {(names[0, 2], 7.75), (names[BAD, 2], 7.75)}
    assert given.keys() - second.keys() == replaced

    # an appeal gives half a point, with its reason
    appeal = totals["appeal"]
    assert appeal[first[2]] == second[first[2]] + 0.5
    assert "the mean is right" in (out / "index.html").read_text(encoding="utf-8")

    # a test that asks less: who failed it gains, who is named, and all else stays
    changed = totals["changed test"]
    gained = {
        name: changed[name] - appeal[name] for name in appeal if changed[name] != appeal[name]
    }
    assert gained == {first[1]: 1, first[7]: 1}
    assert "3 gained, 0 lost" in said["changed test"]
    assert f"{first[1]}: q_sample 0 to 1" in said["changed test"]


def check_sheets(semester: Semester) -> None:
    """Canvas and Moodle take their sheets, Gradescope its results; feedback and quizzes fit."""
    out, said, totals, names = semester.out, semester.said, semester.totals, semester.names
    total, counts = totals["viva"], [n for n in names.values() if n in totals["viva"]]
    graded = {
        person(team, member)[1]: total[name]
        for (team, _), name in names.items() if name in total for member in (0, 1)
    }  # fmt: skip

    canvas = rows(out / "canvas.csv")
    maxima = {column: float(canvas[0][column]) for column in canvas[0] if "models" in column}
    assert {row["ID"]: sum(float(row[column]) for column in maxima) for row in canvas[1:]} == graded
    assert all(float(row["Diffusion models"]) <= maxima["Diffusion models"] for row in canvas[1:])
    by_netid = {
        person(team, member)[2]: total[name]
        for (team, _), name in names.items() if name in total for member in (0, 1)
    }  # fmt: skip
    moodle = import_grades(out / "moodle.csv", set(by_netid), {"Grade": 12, "Bonus": 16})
    assert {user: sum(points.values()) for user, points in moodle.grades.items()} == by_netid
    for name in names.values():
        results = json.loads((out / name / "results.json").read_text(encoding="ascii"))
        check_fields(results, TOP)
        for test in results["tests"]:
            check_fields(test, TEST)

    with zipfile.ZipFile(out / "feedback_canvas.zip") as archive:
        found = sorted(map(canvas_finds, archive.namelist()))
    assert len(found) == len(counts) == TEAMS - 1
    assert found == sorted(canvas_finds(name) for name in counts)

    keys = rows(out / "viva/keys.csv")
    assert {row["submission"] for row in keys} == set(counts)
    letters = [[row[f"question {n}"] for n in range(1, 6) if row[f"question {n}"]] for row in keys]
    whole = sum(len(found) == 5 for found in letters)
    assert f"sheets of five questions for {whole} of {len(counts)}" in said["viva"]
    assert whole >= len(counts) - 1 - len(HALF) // 2
    gift = read_gift((out / "viva/viva.gift").read_text(encoding="utf-8"))
    assert ["ABCD"[asked.key] for asked in gift] == list(chain(*letters))
    quizzes = read_qti((out / "viva/viva_qti.zip").read_bytes())
    assert sorted(["ABCD"[asked.key] for asked in quiz] for quiz in quizzes) == sorted(letters)
    pypdf = pytest.importorskip("pypdf", reason="pypdf reads the PDF back")
    with pypdf.PdfReader(out / "viva/keys.pdf") as reader:
        assert len(reader.outline) == len(counts)


def look_at_pages(semester: Semester, folder: Path) -> None:
    """The overview, a report and the sheets of questions fit a real browser's window."""
    out, names = semester.out, semester.names
    pages = {"overview": out / "index.html", "report": out / names[2, 1] / "report.html"}
    pages["viva"] = out / "viva/sheets.html"
    seen = {}
    with driven_tab(folder) as tab:
        tab.show(1000, 1100, dark=False)
        for name, page in pages.items():
            tab.open(page.as_uri())
            tab.wait_for(
                f"location.href.endsWith('{page.name}') && document.readyState == 'complete'"
            )
            assert tab.ask("document.documentElement.scrollWidth") <= 1000, name
            seen[name] = tab.ask("document.body.innerText")
            tab.screenshot(folder / f"{name}.png")
        pairs = tab.ask(f"[...document.querySelectorAll('.pictures')].map(({SIDE_BY_SIDE}))")
        assert len(pairs) > TEAMS / 2
        assert all(pairs)
    assert "the mean is right" in seen["report"]
    assert "An axis has no label." in seen["report"]

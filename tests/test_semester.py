"""A course from its roster to its orals, as instructor/grading.md tells it, in one folder."""

import csv
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml
from overlay import Scenario, scenarios

from helpers.files import ROOT
from helpers.scripts import run_script

TEAMS = 10  # of two; instructor/grading.md says how long it takes with 40
PARTS = ["unet", "q_sample", "p_sample", "p_sample_loop", "compute_loss", "latent"]
MISTAKES = [  # of the first teams, in the first round
    "q_sample_coefficients_swapped",
    "q_sample_t_counted_from_one",
    "p_sample_recip_on_x_only",
    "loop_index_one_higher",
]
BAD, LATE = 5, 6  # the team whose zip is none, and the one that is late


def person(team: int, member: int) -> tuple[str, str, str]:
    """Name, Canvas's id and NetID."""
    letter, which = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[team % 26], ("First", "Second")[member]
    number = 1000 + 10 * team + member
    return f"{letter}da {which}{team}", f"{number}", f"{letter.lower()}{team}{member}"


def roster(file: Path) -> Path:
    """Canvas's export of the class."""
    rows = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "extension"]]
    rows.append(["    Points Possible", "", "", "", "", ""])
    for team in range(TEAMS):
        for member in (0, 1):
            name, number, netid = person(team, member)
            rows.append([name, number, f"S{number}", netid.upper(), "Lecture", ""])
    with file.open("w", encoding="utf-8", newline="") as sheet:
        csv.writer(sheet).writerows(rows)
    return file


def hand_in(folder: Path, team: int, upload: int, scenario: Scenario) -> str:
    """A zip as Canvas names it, with the team's own team.csv; returns its name."""
    folder.mkdir(exist_ok=True)
    name, number, _ = person(team, 0)
    late = "_LATE" if team == LATE and upload < 500 else ""
    path = folder / f"{name.split()[0].lower()}{team}{late}_{number}_{upload}_submission.zip"
    if team == BAD and upload < 500:
        path.write_bytes(b"not a zip")
        return path.name
    members = "".join(f"{person(team, m)[0]},{person(team, m)[2]},half\n" for m in (0, 1))
    scenario.own["team.csv"] = f"member,NetID,contribution\n{members}".encode()
    scenario.zip_to(path)
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


@pytest.fixture(scope="module")
def semester(tmp_path_factory) -> dict:
    """All steps, one after the other, with what each printed and the totals after it."""
    work = tmp_path_factory.mktemp("semester")
    out, wrong = work / "grades", {s.name: s for s in scenarios("wrong")}
    rubric = yaml.safe_load((ROOT / "autograder/rubric.yaml").read_text(encoding="utf-8"))
    rubric["late"] = {"due": "2026-10-20 23:59 -07:00", "percent": 10, "days": 4}
    (work / "rubric.yaml").write_text(yaml.safe_dump(rubric, sort_keys=False), encoding="utf-8")
    said, totals, names = {}, {}, {}

    def grade(step: str, *args: object, script: object = "autograder/grade.py") -> None:
        common = ("--out", out, "--rubric", work / "rubric.yaml", "--jobs", 2)
        done = run_script(script, *args, *([] if args[0] in ("feedback", "viva") else common))
        assert done.returncode == 0, (step, done.stdout, done.stderr)
        said[step] = done.stdout
        graded = [row for row in rows(out / "grades.csv") if row["total"]]
        totals[step] = {row["submission"]: float(row["total"]) for row in graded}

    def reference() -> Scenario:
        return Scenario("right", "reference", "", "reference")

    for team in range(TEAMS):
        found = wrong[MISTAKES[team]] if team < len(MISTAKES) else reference()
        one = Scenario("wrong", found.name, "", "reference", places=found.places)
        names[team, 1] = hand_in(work / "round1", team, 100 + team, one)
    grade("first round", work / "round1", "--roster", roster(work / "people.csv"), "--seed", 5)

    points = {"report_mnist": "2", "comment": "c: missing-axis"}
    (out / "comments.yaml").write_text(
        "missing-axis: {text: An axis has no label., points: -0.25, part: report_mnist}\n"
    )
    write_manual(out, {names[team, 1]: points for team in range(TEAMS)})
    grade("manual points", "--manual", out / "manual.csv")

    for team in (0, BAD):
        names[team, 2] = hand_in(work / "round2", team, 900 + team, reference())
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
    grade("changed test", work / "round1", *changed, script=other / "autograder/grade.py")

    grade("feedback", "feedback", out, "--canvas")
    grade("viva", "viva", out)
    return {"work": work, "out": out, "said": said, "totals": totals, "names": names}


@pytest.mark.slow
def test_a_semester(semester):
    """Everybody of the roster has a row, and each step changes what it should and no more."""
    out, said, totals, names = (semester[key] for key in ("out", "said", "totals", "names"))
    first = {team: names[team, 1] for team in range(TEAMS)}

    # the first round: mistakes cost their part, what cannot be read costs all, lateness 10 percent
    tested = totals["first round"]
    assert tested[first[4]] == 14  # core and bonus parts by the tests
    assert all(12 <= tested[first[team]] <= 13 for team in range(4))
    assert tested[first[BAD]] == 0
    assert tested[first[LATE]] == pytest.approx(14 - 1.2)
    sheet = rows(out / "grades.csv")
    assert len(sheet) == 2 * TEAMS
    by_team = {row["submission"] for row in sheet}
    assert len(by_team) == TEAMS

    # what a person gave: 2 less a named comment of 0.25
    given = totals["manual points"]
    assert given[first[4]] == pytest.approx(tested[first[4]] + 1.75)

    # the second round replaces the first of two teams, and what a person gave stays
    second = totals["second round"]
    assert second[names[0, 2]] == pytest.approx(14 + 1.75)
    assert second[names[BAD, 2]] == pytest.approx(14 + 1.75)
    assert first[0] not in second
    assert all(second[first[team]] == given[first[team]] for team in (1, 2, 3, 4, 7, 8, 9))

    # an appeal gives half a point, with its reason
    appeal = totals["appeal"]
    assert appeal[first[2]] == pytest.approx(second[first[2]] + 0.5)
    assert "the mean is right" in (out / "index.html").read_text(encoding="utf-8")

    # a test that asks less: who failed it gains, who is named, and the appeal stays
    changed = totals["changed test"]
    assert changed[first[1]] == pytest.approx(appeal[first[1]] + 1)
    assert changed[first[2]] == appeal[first[2]]
    assert "2 gained, 0 lost" in said["changed test"]
    assert f"{first[1]}: q_sample 0 to 1" in said["changed test"]

    # feedback for each hand-in that counts, and five questions for each that can be read
    with zipfile.ZipFile(out / "feedback_canvas.zip") as archive:
        found = archive.namelist()
    assert len(found) == TEAMS
    for team in range(TEAMS):
        assert any(f"_{person(team, 0)[1]}_" in name for name in found)
    assert "sheets of five questions for 11 of 12" in said["viva"]
    canvas = rows(out / "canvas.csv")
    students = [row for row in canvas if row["ID"]]
    assert {row["ID"] for row in students} == {
        person(team, member)[1] for team in range(TEAMS) for member in (0, 1)
    }

"""The pages: report.html for each submission, and index.html for the whole class.

They load nothing and run only the script that sorts the overview's table, which their
Content-Security-Policy names by its hash. Everything that may come from students is escaped twice:
as HTML, and with control characters and direction marks spelled out.
"""

import base64
import binascii
import functools
import hashlib
import statistics
import urllib.parse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from autograder.course.items import by_tests, failed_tests, histogram, items
from autograder.course.people import Course
from autograder.output.sheets import contested
from autograder.output.stored import submission_folder, write_results
from autograder.output.summary import (
    SIGNS,
    about,
    core_and_bonus,
    first_with_reason,
    listed,
    overridden,
    shared_hints,
    tally,
)
from autograder.results import FAILED, MANUAL, NOT_ATTEMPTED, PARTIAL, PASSED, Grade, PartResult
from autograder.rubric import Rubric
from autograder.text import alike, number, visible, write_text

TEMPLATES = Path(__file__).with_name("templates")
AUTOMATIC = [PASSED, PARTIAL, FAILED, NOT_ATTEMPTED]
MOST_TESTS = 60  # most failed tests listed in the overview
GALLERY = 6  # most pictures of each submission in the overview


def write_submission(
    grade: Grade, rubric: Rubric, folder: Path, final: Grade | None = None
) -> None:
    """Write a submission's log.txt, report.html and, as a sign that all is there, results.json.

    Args:
        grade: the grader's own result, which `load_grades` reads back.
        folder: the results folder of the whole class.
        final: the same with the points that people gave, which the pages show.
    """
    final = final or grade
    place = submission_folder(folder, grade.submission)
    write_text(place / "log.txt", visible(grade.log))
    write_text(place / "report.html", report_page(final, rubric))
    write_results(place, grade, final, rubric)


def report_page(grade: Grade, rubric: Rubric) -> str:
    """The report for a team, as HTML."""
    automatic = [part for part in grade.parts if part.status != MANUAL]
    describe = about(rubric)
    return (
        _environment()
        .get_template("report.html")
        .render(
            grade=grade,
            rubric=rubric,
            about=describe,
            automatic=automatic,
            tally=tally(grade, rubric),
            course_points=core_and_bonus(grade, rubric),
            overridden=overridden,
            shared=shared_hints(automatic),
            again=first_with_reason(automatic),
            listed=lambda ids: listed([describe(part_id).called for part_id in ids]),
            manual=[part for part in grade.parts if part.status == MANUAL or part.human],
            waiting=_waiting(grade, rubric),
            samples=[sample for sample in grade.samples if _is_png(sample.get("png", ""))],
        )
    )


def write_class(
    grades: list[Grade],
    rubric: Rubric,
    folder: Path,
    course: Course | None = None,
    old: list[Grade] | None = None,
) -> None:
    """Write index.html, the class overview.

    Args:
        grades: of the whole class, with the points that people gave.
        course: the people of the roster, if there is one.
        old: earlier results, for plots of before and after.
    """
    grades = sorted(grades, key=lambda grade: grade.submission)
    replaced = course.replaced if course else {}
    counted = [grade for grade in grades if grade.submission not in replaced]
    galleries = [
        (grade, [s for s in grade.samples if _is_png(s.get("png", ""))][:GALLERY])
        for grade in grades
    ]
    page = (
        _environment()
        .get_template("index.html")
        .render(
            grades=grades,
            counted=counted,
            replaced=replaced,
            rubric=rubric,
            about=about(rubric),
            medians=[
                statistics.median(points)
                for points in zip(*(core_and_bonus(g, rubric) for g in counted), strict=True)
            ]
            or [0, 0],
            overrides=[(g, p, overridden(p)) for g in grades for p in g.parts if p.override],
            waiting=sum(_waiting(grade, rubric) > 0 for grade in counted),
            distribution=_distribution(counted, rubric),
            items={item.id: item for item in items(counted, rubric)},
            tests=failed_tests(counted)[:MOST_TESTS],
            plots=_plots(counted, rubric, old),
            hints=_hints(counted),
            look=_needs_look(grades, course),
            course=course,
            holes=_holes(grades),
            galleries=[(grade, samples) for grade, samples in galleries if samples],
            link=lambda grade: _link(folder, grade),
        )
    )
    write_text(folder / "index.html", page)


def _waiting(grade: Grade, rubric: Rubric) -> float:
    """Points that a person has yet to give, without bonus points, which few teams try for."""
    describe = about(rubric)
    parts = [part for part in grade.parts if not describe(part.id).bonus]
    return sum(part.max_points for part in parts if part.points is None)


def _is_png(data: str) -> bool:
    try:
        return base64.b64decode(data, validate=True).startswith(b"\x89PNG\r\n\x1a\n")
    except (binascii.Error, ValueError):
        return False


def _link(folder: Path, grade: Grade) -> str:
    """The report's address in index.html; it begins with ./ so that no name acts as a protocol."""
    name = submission_folder(folder, grade.submission).name
    return f"./{urllib.parse.quote(name)}/report.html"


def _distribution(grades: list[Grade], rubric: Rubric) -> list[dict[str, Any]]:
    """For each part: its mean, and a bar with the number of submissions in each state."""
    rows = []
    for part in rubric.parts:
        results = [p for grade in grades for p in grade.parts if p.id == part.id]
        given = [p.earned for p in results if p.earned is not None]
        if not part.automatic and not given:
            continue
        states = [_state(p) for p in results if p.points is not None]
        counts = {state: states.count(state) for state in AUTOMATIC if state in states}
        starts = [sum(list(counts.values())[:n]) for n in range(len(counts))]
        bars = [
            {
                "state": state,
                "count": count,
                "x": 100 * x / len(given),
                "w": 100 * count / len(given),
            }
            for (state, count), x in zip(counts.items(), starts, strict=True)
        ]
        mean = statistics.fmean(given) if given else 0.0
        rows.append({"part": part, "bars": bars, "mean": mean})
    return rows


def _plots(grades: list[Grade], rubric: Rubric, old: list[Grade] | None) -> list[dict[str, Any]]:
    """Histograms of points: each a title, its range, median, and bars in a box of 120 x 40.

    Before and after are of the same hand-ins.
    """
    if not grades:
        return []
    core, bonus = zip(*(core_and_bonus(grade, rubric) for grade in grades), strict=True)
    series: list[tuple[str, Sequence[float], float]] = [
        ("Core so far", core, rubric.core),
        ("Bonus so far", bonus, rubric.bonus),
    ]
    before = {grade.submission: grade for grade in old or ()}
    both = [grade for grade in grades if grade.submission in before]
    if both:
        most = sum(p.by_tests for p in rubric.parts if not p.bonus)
        earlier = [before[grade.submission] for grade in both]
        for title, of in (("Core by the tests, before", earlier), ("and now", both)):
            series.append((title, [by_tests(grade, rubric) for grade in of], most))
    plots = []
    for title, points, most in series:
        if not most:
            continue
        counts = histogram(points, most)
        width, top = 120 / len(counts), max(1, *counts)
        bars = [
            {"x": n * width, "y": 40 - 40 * count / top, "w": width, "h": 40 * count / top}
            for n, count in enumerate(counts)
        ]
        middle = statistics.median(points)
        plots.append({"title": title, "most": most, "bars": bars, "median": middle, "top": top})
    return plots


def _state(part: PartResult) -> str:
    """A part's status; for a part that a person grades, from its points."""
    if part.status != MANUAL:
        return part.status
    return PASSED if part.points == part.max_points else PARTIAL if part.points else FAILED


def _hints(grades: list[Grade]) -> list[dict[str, Any]]:
    """The hints given, most frequent first, each with its text and the grades that got it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for grade in grades:
        for part in grade.parts:
            if part.hint_id or part.hint:
                key = (part.id, part.hint_id or part.hint)
                text = part.hint or part.reason
                entry = {"part": part.id, "id": part.hint_id, "text": text, "grades": []}
                found.setdefault(key, entry)["grades"].append(grade)
    return sorted(found.values(), key=lambda entry: -len(entry["grades"]))


def _needs_look(grades: list[Grade], course: Course | None = None) -> list[tuple[Grade, list[str]]]:
    """Submissions that a person should look at, with reasons; some concern the whole class."""
    by_hash, by_netid, left_out = defaultdict(list), defaultdict(list), contested(grades)
    for grade in grades:
        if grade.sha256:
            by_hash[grade.sha256].append(grade.submission)
        for netid in sorted({alike(m.get("netid", "").strip()) for m in grade.members} - {""}):
            by_netid[netid].append(grade.submission)
    rows = []
    for grade in grades:
        reasons = list(grade.needs_look)
        same = [s for s in by_hash.get(grade.sha256, []) if s != grade.submission]
        if same:
            reasons.append(f"The same files, byte for byte, as {', '.join(same)}")
        if course:
            reasons += course.remarks(grade)
        for netid, names in by_netid.items() if course is None else ():
            others = [name for name in names if name != grade.submission]
            if others and grade.submission in names:
                sheets = "canvas.csv and moodle.csv leave it out, since the totals differ"
                reason = f"{netid} is also a member of {', '.join(others)}"
                reasons.append(f"{reason}; {sheets}" if netid in left_out else reason)
        if reasons:
            rows.append((grade, reasons))
    return rows


def _holes(grades: list[Grade]) -> dict[str, list[Grade]]:
    """What the sandbox did not protect against, with the grades that this concerns."""
    found: dict[str, list[Grade]] = defaultdict(list)
    for grade in grades:
        if grade.hole:
            found[grade.hole].append(grade)
    return dict(found)


def render(template: Path, **values: Any) -> str:
    """Render the template in a file; all texts among the values are escaped."""
    return _environment().from_string(template.read_text(encoding="utf-8")).render(**values)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # invisible characters in values are spelled out; the templates' own markup stays as it is
        finalize=lambda v: visible(v) if isinstance(v, str) and not isinstance(v, Markup) else v,
    )
    environment.filters["number"] = number
    environment.globals.update(signs=SIGNS, state_of=_state, policy=_policy, inline=_inline)
    return environment


def _inline(name: str) -> Markup:
    """A style or script from the templates' folder, to be put inside a page."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def _policy(style: str, script: str = "") -> Markup:
    """The Content-Security-Policy of a page with only this style and script."""
    rules = {"default-src": "'none'", "img-src": "data:", "style-src": _digest(style)}
    if script:
        rules["script-src"] = _digest(script)
    rules |= {"base-uri": "'none'", "form-action": "'none'"}
    return Markup("; ".join(f"{rule} {value}" for rule, value in rules.items()))


def _digest(source: str) -> str:
    """The hash that names an inline style or script in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"

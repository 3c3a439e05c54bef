"""What is written out: Gradescope's format, pages that load nothing and run nothing of students,
readable on a phone and in the dark (in a real browser), and results that are whole or not there."""

import base64
import copy
import dataclasses
import html
import html.parser
import json
import os
import re
import struct
import unicodedata
import urllib.parse
import zlib

import pytest
from autograder import text
from autograder.output import pages, sheets, stored, terminal
from autograder.results import FAILED, NOT_ATTEMPTED, PASSED, Grade, TestResult
from autograder.rubric import load_rubric
from autograder.text import InputError, visible

from helpers.browser import colour_sets, contrast, open_in_browser
from helpers.files import any_name
from helpers.gradescope_format import TEST, TOP, check_fields

RUBRIC = load_rubric()
AUTOMATIC = "unet q_sample p_sample p_sample_loop compute_loss latent".split()
BONUS = "bonus_evaluation bonus_sampling bonus_edm bonus_scaling".split()  # graded half by tests
EVIL = (
    "<script>(top.ran ??= []).push(1)</script><img src=x onerror='(top.ran ??= []).push(2)'>"
    "\"'>{{ 7 * 7 }}</title></style>"
    "\x1b[31m\x1b]0;t\x07 \u202eevil\u2066 \x00 \x9b \ud800 </pre><b id=injected>b</b>"
)


def png(width=40, height=24):
    """A grey picture as base64."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return base64.b64encode(data).decode()


def grade(name, failed=(), stubs=(), words="", **values):
    """A grade with four tests a part; `words` stand wherever a student's text may."""
    tests = []
    for part in AUTOMATIC:
        outcome = FAILED if part in failed else NOT_ATTEMPTED if part in stubs else PASSED
        for n in range(4):
            mine = outcome if n % 2 else PASSED
            group = ["encode", "decode"][n % 2] if part == "latent" else ""
            said = {} if mine == PASSED else {"reason": f"{part} is off. {words}"}
            if mine == FAILED:
                said |= {"hint": f"Look at {part}. {words}", "hint_id": f"{part}_hint"}
            title = f"Gives the right values at the shapes of case {n} {words}"
            tests.append(TestResult(part, f"test_case[{n}]", mine, group, title, **said))
    fields = {
        "sha256": f"{zlib.crc32(name.encode()):064x}",
        "team": name,
        "members": [{"member": f"Example Name {words}", "netid": f"{name}a"}],
        "parts": RUBRIC.mark(tests),
        "protections": {"network": f"none {words}"},
        "notes": [f"A note {words}"],
        "log": f"printed {words}\n" * 3,
        "samples": [{"name": f"results/final.png {words}", "png": png()}],
        "seconds": 1.5,
        "seed": 7,
        **values,
    }
    return Grade(f"{name}.zip", **fields)


def team(number, **values):
    return grade(f"team-{number:02d}", **values)


def class_of_eight():
    return [
        team(1),
        team(2, failed=["q_sample"]),
        team(3, failed=["p_sample", "latent"], deductions=0.6, deduction_reasons=["x: 0.6 points"]),
        team(4, stubs=AUTOMATIC),
        team(5, failed=["p_sample"], needs_look=["It opens /proc/self/mem."]),
        team(6, failed=["p_sample", "q_sample"], samples=[]),
        team(7, members=[], team=""),
        team(8, failed=["unet"], stubs=["latent"]),
    ]


class Page(html.parser.HTMLParser):
    """Tags with their attributes, and the text outside of scripts and styles."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words, self.inside = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        self.inside.append(f"/{tag}")

    def handle_data(self, data):
        if self.inside and self.inside[-1] not in ("script", "style"):
            self.words.append(data)

    def all(self, tag, attribute):
        return [
            values[attribute] for name, values in self.tags if name == tag and attribute in values
        ]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with the class of eight, and one whose every text is hostile."""
    folder = tmp_path_factory.mktemp("class")
    grades = [*class_of_eight(), grade("evil", failed=AUTOMATIC, words=EVIL, team=EVIL)]
    grades[-1].needs_look = grades[-1].deduction_reasons = [EVIL]
    grades[-1].submission = EVIL
    for one in grades:
        pages.write_submission(one, RUBRIC, folder)
    graded = copy.deepcopy(grades)  # one with 14 points: as text, 14 would come before 3
    for part in ("report_unet", "report_mnist", "report_afhq", "bonus_scaling"):
        graded[0].part(part).points = graded[0].part(part).max_points
    pages.write_class(graded, RUBRIC, folder)
    return folder, grades


# --- results.json ---------------------------------------------------------------------------------


def test_results_are_what_gradescope_documents(written):
    """results.json has the fields and types that Gradescope documents, and the right score."""
    folder, grades = written
    for one in grades:
        path = stored.submission_folder(folder, one.submission) / "results.json"
        results = json.loads(path.read_text(encoding="ascii"))
        check_fields(results, TOP)
        assert results["score"] == pytest.approx(one.total)
        assert [test["name"].split(":")[0] for test in results["tests"]] == AUTOMATIC + BONUS
        automatic = [part for part in one.parts if part.id in AUTOMATIC + BONUS]
        for test, part in zip(results["tests"], automatic, strict=True):
            check_fields(test, TEST)
            assert (test["score"], test["max_score"]) == (part.points, part.max_points)
            assert (test["status"] == "passed") == (part.points == part.max_points)
            assert visible(part.reason) in test["output"]
            assert visible(part.hint) in test["output"]


def test_results_give_the_grade_back(written):
    """A grade that is stored and loaded is the same grade."""
    folder, grades = written
    loaded = stored.load_grades(folder)
    assert {g.submission: g for g in loaded} == {g.submission: g for g in grades}
    assert [g.submission for g in loaded] == sorted(g.submission for g in grades)


def test_a_persons_points_show_and_the_graders_own_are_stored(tmp_path):
    """Points given by hand show in the report; the tests' own points stay stored."""
    own, final = team(1), team(1)
    final.part("report_unet").points = 1.5
    pages.write_submission(own, RUBRIC, tmp_path, final)
    results = json.loads((tmp_path / "team-01.zip" / "results.json").read_text(encoding="utf-8"))
    assert results["score"] == 7.5
    assert results["tests"][6]["name"].startswith("report_unet: ")
    assert "1.5 of 2" in Page(tmp_path / "team-01.zip" / "report.html").text
    assert stored.load_grades(tmp_path) == [own]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"extra_data": {}}', '{"extra_data": 1}']
)
def test_a_damaged_result_is_named(tmp_path, content):
    """A results.json that is damaged is refused with its path."""
    pages.write_submission(team(1), RUBRIC, tmp_path)
    broken = tmp_path / "team-01.zip" / "results.json"
    broken.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(str(broken))):
        stored.load_grades(tmp_path)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    """Where the disk is full or the run is stopped, the earlier file stays, and no litter."""
    pages.write_submission(team(1), RUBRIC, tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(text.os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        pages.write_submission(team(1, failed=["unet"]), RUBRIC, tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_results_json_comes_last(tmp_path, monkeypatch):
    """It tells --resume that a submission is done, so nothing may be missing beside it."""
    names, replace = [], os.replace
    monkeypatch.setattr(text.os, "replace", lambda a, b: (names.append(b.name), replace(a, b)))
    pages.write_submission(team(1), RUBRIC, tmp_path)
    assert names[-1] == "results.json"
    assert set(names) == {"results.json", "report.html", "log.txt"}


NAMES = [
    "team-01.zip", "tëam 1.zip", "../x", "..", ".", "", "/etc/x", "a/b", "a_b", "a:b", "a\\b",
    "index.html", "grades.csv", ".hidden", "x" * 300, "x" * 301, "é" * 200, "a\nb", "\u202ea",
    "\x00",
]  # fmt: skip


@any_name
def test_each_submission_has_a_folder_of_its_own_inside(tmp_path):
    """No name of a submission leads outside the results, or to the folder of another one."""
    folders = [stored.submission_folder(tmp_path, name) for name in NAMES]
    assert len(set(folders)) == len(NAMES)
    for name, folder in zip(NAMES, folders, strict=True):
        assert folder.parent == tmp_path, name
        assert folder.resolve().parent == tmp_path.resolve(), name
        folder.mkdir()
        assert folder.name not in ("index.html", "grades.csv", "manual.csv")
    assert folders[0].name == "team-01.zip"
    assert folders[1].name == "tëam 1.zip"


# --- pages ----------------------------------------------------------------------------------------


def test_the_report_says_what_was_found(written):
    """The report has team, points, reasons, hints, notes and the sandbox's state."""
    folder, _ = written
    page = Page(folder / "team-03.zip" / "report.html")
    for words in (
        "team-03", "Example Name", "One step back", "p_sample is off.", "Look at p_sample.",
        "0.5 of 1", "4 tests, 2 not passed", "4 tests, all passed", "case 3", "x: 0.6 points",
        "A note", "Sandbox: network", "none", "printed", "2. The diffusion model",
        RUBRIC.part("bonus_scaling").look_for[0],
    ):  # fmt: skip
        assert words in page.text, words
    assert len(page.all("img", "src")) == 1
    assert (folder / "team-03.zip" / "log.txt").read_text(encoding="utf-8") == "printed \n" * 3


def test_the_overview_shows_the_class(written, tmp_path):
    """The overview names equal files, shared members and what needs a human look."""
    grades = class_of_eight()
    grades[0].sha256 = grades[1].sha256
    grades[7].members.append({"member": "Example", "netid": " TEAM-05A"})
    pages.write_class(grades, RUBRIC, tmp_path)
    page = Page(tmp_path / "index.html")
    assert "The same files, byte for byte, as team-02.zip" in page.text
    assert "It opens /proc/self/mem." in page.text
    assert "team-05a is also a member of team-08.zip; canvas.csv and moodle.csv" in page.text
    assert "Need a human look 4 " in page.text  # 1 and 2, 5, 8
    # the most frequent hint first: three teams' p_sample, two teams' q_sample
    hints = page.text.split("most frequent first")[1]
    first, second = hints.index("Look at p_sample."), hints.index("Look at q_sample.")
    assert "3 teams" in hints[:first]
    assert "2 teams" in hints[first:second]
    # p_sample: 1, 2, 7 and 8 passed, 3, 5 and 6 failed, 4 is a stub
    went = page.text.split("Results by part")[1].split("One step back p_sample")[1]
    assert went.startswith(" 0.50 of 1 4 ✓ passed 3 ✗ failed 1 ○ not attempted")
    assert len(page.all("img", "src")) == 7
    assert len(page.all("td", "data-value")) == 8 * (1 + 13 + 1)


def test_the_overviews_bars_have_the_shares_lengths(tmp_path):
    """The widths of the bars are the shares of passed and failed submissions."""
    pages.write_class(class_of_eight(), RUBRIC, tmp_path)
    rects = [v for tag, v in Page(tmp_path / "index.html").tags if tag == "rect"]
    third = rects[rects.index(next(r for r in rects if r["width"] == "50.0")) :][:3]
    assert [(r["class"], float(r["x"]), float(r["width"])) for r in third] == [
        ("passed", 0, 50), ("failed", 50, 37.5), ("not-attempted", 87.5, 12.5)
    ]  # fmt: skip


def test_empty_class_and_class_without_hints_are_written(tmp_path):
    """The overview is written for no submissions, and without hints."""
    pages.write_class([], RUBRIC, tmp_path)
    assert "Submissions 0" in Page(tmp_path / "index.html").text
    pages.write_class([team(1)], RUBRIC, tmp_path)
    assert "Hints given" not in Page(tmp_path / "index.html").text


ODD_NAMES = ["a b.zip", "100%.zip", "a#b?c.zip", "javascript:x", "u/../x", "'\""]


@pytest.mark.parametrize("name", [*ODD_NAMES, pytest.param("ü/../x", marks=any_name)])
def test_the_overview_links_to_each_report(tmp_path, name):
    """Links to reports work for names with spaces, percent signs and other odd letters."""
    one = team(1)
    one.submission = name
    pages.write_submission(one, RUBRIC, tmp_path)
    pages.write_class([one], RUBRIC, tmp_path)
    links = [h for h in Page(tmp_path / "index.html").all("a", "href") if "report.html" in h]
    assert links
    for link in links:
        assert link.startswith("./")
        assert "#" not in link
        assert "?" not in link
        path = urllib.parse.unquote(link)
        assert (tmp_path / path).is_file()


def test_a_part_that_an_edited_rubric_lacks_still_shows(tmp_path):
    """A part that was removed from the rubric after grading still shows in the report."""
    one = team(1)
    one.part("unet").id = "gone"
    pages.write_submission(one, RUBRIC, tmp_path)
    pages.write_class([one], RUBRIC, tmp_path)
    assert "gone" in Page(tmp_path / "team-01.zip" / "report.html").text


@pytest.mark.parametrize("data", ["", "no base64 <", base64.b64encode(b"<svg onload=x>").decode()])
def test_samples_that_are_no_png_are_left_out(tmp_path, data):
    """Data that is not a PNG is not embedded in a report."""
    one = team(1, samples=[{"name": "x", "png": data}, {"name": "none"}])
    pages.write_submission(one, RUBRIC, tmp_path)
    assert not Page(tmp_path / "team-01.zip" / "report.html").all("img", "src")


def pages_of(written):
    folder, _ = written
    found = sorted(folder.rglob("*.html"))
    assert len(found) == 10
    return found


def test_pages_load_nothing_from_outside(written):
    """No address but data: and our own files; the policy forbids all else; no inline handlers."""
    for path in pages_of(written):
        page = Page(path)
        for tag, values in page.tags:
            assert tag not in ("link", "iframe", "object", "embed", "base", "form"), path
            assert not [key for key in values if key.startswith("on") or key == "style"], values
            for key in ("src", "href", "srcset", "action"):
                assert values.get(key, "./").startswith(("./", "data:image/png;base64,")), values
        policy = next(v["content"] for _, v in page.tags if v.get("http-equiv"))
        assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
        assert "unsafe" not in policy
        assert "url(" not in path.read_text(encoding="utf-8")
        assert ("viewport", True) in [
            (v.get("name"), "width=device-width" in v.get("content", "")) for _, v in page.tags
        ]


def test_what_students_wrote_shows_as_written_and_does_nothing(written):
    """Markup, escapes and marks of direction are in no file as such; their spelling is."""
    folder, grades = written
    place = stored.submission_folder(folder, grades[-1].submission)
    for path in [*place.iterdir(), folder / "index.html"]:
        content = path.read_bytes().decode()
        strange = {c for c in content if unicodedata.category(c) in ("Cc", "Cf", "Cs")}
        assert strange <= {"\n", "\t"}, path
    for path in (place / "report.html", folder / "index.html"):
        page = Page(path)
        assert [values for tag, values in page.tags if values.get("id") == "injected"] == []
        assert "<script>(top.ran ??= [])" in page.text
        assert "\\x1b[31m" in page.text
        assert "\\u202eevil" in page.text
        assert "{{ 7 * 7 }}" in page.text
    assert "\\x1b[31m" in (place / "log.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_terminals_table_fits_and_is_harmless(width):
    """The table fits the width, and a team's control letters never reach the terminal."""
    one = grade("evil", failed=["unet"], stubs=["latent"], words=EVIL, team=EVIL, deductions=0.6)
    shown = terminal.table(one, RUBRIC, width)
    assert all(len(line) <= width for line in shown.splitlines())
    assert {c for c in shown if not c.isprintable()} == {"\n"}
    flat = " ".join(shown.split())
    assert re.search(r"^unet +0 of 1 +✗ unet is", shown, re.M)
    assert re.search(r"^q_sample +1 of 1 +✓ passed", shown, re.M)
    assert re.search(r"^latent +0.5 of 1 +◐ latent is", shown, re.M)
    assert re.search(r"^total +3.9 points so far", shown, re.M)
    assert "4.5 of 6 by the autograder, bonus: 0 of 8 0.6 deducted" in flat
    assert "Hint: Look at unet." in flat
    assert "A person grades: Report: understanding the UNet (2), Report: MNIST (2)" in flat


def test_every_view_shows_maxima_and_what_a_person_grades(tmp_path):
    """Terminal, results.json and report.html say the same of a grade."""
    one = team(2, failed=["q_sample"])
    pages.write_submission(one, RUBRIC, tmp_path)
    results = json.loads((tmp_path / "team-02.zip" / "results.json").read_text(encoding="utf-8"))
    page = Page(tmp_path / "team-02.zip" / "report.html").text
    shown = terminal.table(one, RUBRIC, 100)
    assert re.search(r"^total +5 of 6 by the autograder, bonus: 0 of 8$", shown, re.M)
    assert results["output"].startswith("5 of 6 by the autograder, bonus: 0 of 8\nA person grades:")
    assert "From the autograder 5 of 6 Bonus, from the autograder 0 of 8" in page
    manual = [part for part in RUBRIC.parts if part.by_hand]
    assert len(manual) == 7
    for part in manual:
        for view in (" ".join(shown.split()), results["output"]):
            assert f"{part.title} ({part.by_hand:g})" in view, view
        assert f"{part.title} {part.id} up to {part.by_hand:g}" in page


def test_points_of_a_person_count_beside_those_of_the_autograder(tmp_path):
    """The terminal adds points given by hand and lists only parts still to be graded."""
    one = team(1)
    one.part("report_unet").points, one.part("bonus_edm").by_person = 1.5, 1.0
    shown = " ".join(terminal.table(one, RUBRIC, 100).split())
    assert "8.5 points so far 6 of 6 by the autograder, bonus: 0 of 8 2.5 of 4 by a person" in shown
    assert "Report: understanding" not in shown.split("A person grades:")[1]


@pytest.mark.parametrize(
    "hint", ["Nothing is filled in here yet.", "Python cannot parse this file."]
)
def test_a_hint_that_parts_share_is_said_once_and_names_them(tmp_path, hint):
    """In the terminal, on the page and in a sheet; a reason of two parts is spelled out once."""
    one = team(4, stubs=AUTOMATIC)
    for part in one.parts[:6]:
        part.hint, part.reason = hint, f"{part.id} is a stub."
    one.parts[1].reason = one.parts[0].reason
    named = "unet, q_sample, p_sample, p_sample_loop, compute_loss and latent"
    shown = " ".join(terminal.table(one, RUBRIC, 80).split())
    pages.write_submission(one, RUBRIC, tmp_path)
    page = Page(tmp_path / "team-04.zip" / "report.html").text
    sheet = sheets.feedback(one, RUBRIC)
    for view, words in (
        (shown, f"Hint for {named}: {hint}"),
        (page, f"Hint for {named}. {hint}"),
        (sheet, f"{named}: {hint}"),
    ):
        assert view.count(hint) == 1, view
        assert words in view, view
        assert view.count("unet is a stub.") == 1, view
    assert "q_sample 0 of 1 ○ the same as unet" in shown


def test_students_read_the_name_that_their_edition_gives_a_function(tmp_path):
    """Of the part p_sample_loop, where that is called generate; its column keeps the id."""
    named = tuple(
        dataclasses.replace(part, name="generate") if part.id == "p_sample_loop" else part
        for part in RUBRIC.parts
    )
    rubric, one = dataclasses.replace(RUBRIC, parts=named), team(4, stubs=AUTOMATIC)
    for part in one.parts[:6]:
        part.hint, part.reason, part.tests = "Nothing yet.", f"{part.id}.", []
    for part in one.parts[3:5]:
        part.reason = "It is a stub."
    pages.write_submission(one, rubric, tmp_path)
    page = Page(tmp_path / "team-04.zip" / "report.html").text
    for view in (terminal.table(one, rubric, 200), page, sheets.feedback(one, rubric)):
        assert "p_sample, generate, compute_loss and latent" in view
        assert "p_sample_loop" not in view
    assert "compute_loss" in terminal.table(one, rubric, 200).split("the same as generate")[0]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a\nb\tc", "a\nb\tc"), ("a\r\nb", "a\nb"), ("50%\r60%", "50%\\r60%"),
        ("\x1b[2J", "\\x1b[2J"), ("\x9b2J", "\\x9b2J"), ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"), ("\u2028", "\\u2028"), ("\U000e0041", "\\U000e0041"),
        ("Žofie 例 🐱 é", "Žofie 例 🐱 é"),
        ("क\u200dष", "क\u200dष"),
    ],
)  # fmt: skip
def test_only_letters_and_signs_are_shown_as_they_are(given, shown):
    """Control letters are spelled out, and what is shown can be encoded."""
    assert visible(given) == shown
    visible(given).encode()


# --- in a real browser ----------------------------------------------------------------------------

WRAPPER = """<!doctype html><meta charset="utf-8"><body>{frames}<pre id="found"></pre><script>
addEventListener("load", () => {{
  const found = [...document.querySelectorAll("iframe")].map((frame) => {{
    const page = frame.contentDocument, width = frame.clientWidth;
    const inScroller = (e) => e.closest(".scroll") && !e.matches(".scroll");
    const rows = () => [...page.querySelectorAll(".sortable tbody tr")];
    const cells = () => rows().map((row) => row.cells[1].innerText);
    const total = page.querySelectorAll(".sortable thead button")[1];
    const orders = [cells()];
    for (let n = 0; total && n < 2; n++) {{ total.click(); orders.push(cells()); }}
    return {{
      scroll: page.documentElement.scrollWidth, width: page.documentElement.clientWidth, orders,
      beyond: [...page.querySelectorAll("body *")].filter((e) => e.offsetWidth && !inScroller(e)
        && e.getBoundingClientRect().right > width + 0.5).map((e) => e.outerHTML.slice(0, 200)),
      title: page.querySelector("h1").innerText,
      pictures: [...page.images].map((image) => image.naturalWidth),
      background: getComputedStyle(page.body).backgroundColor,
      size: parseFloat(getComputedStyle(page.body).fontSize),
      ran: window.ran ?? [],
    }};
  }});
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script>"""


def browse(tmp_path, pages, *flags):
    """Open pages, each at a width, in frames of one page; returns what was seen in each.

    A frame's `srcdoc` shares the outer page's origin, so that a script can measure the pages as
    they are, with their policies in force.
    """
    frames = "".join(
        f'<iframe width="{width}" height="844" style="border:0" srcdoc="{html.escape(page)}">'
        "</iframe>"
        for page, width in pages
    )
    return open_in_browser(WRAPPER.format(frames=frames), tmp_path, *flags)


def without_policy(page):
    changed = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert changed != page
    return changed


def opened(page):
    return page.replace("<details>", "<details open>")


def test_pages_in_a_browser(written, tmp_path):
    """Fit a phone and a desk with all details open, show their pictures, sort, and run nothing."""
    folder, grades = written
    evil = stored.submission_folder(folder, grades[-1].submission) / "report.html"
    sources = {
        "index": (folder / "index.html").read_text(encoding="utf-8"),
        "report": opened((folder / "team-03.zip" / "report.html").read_text(encoding="utf-8")),
        "evil": opened(evil.read_text(encoding="utf-8")),
    }
    sources["no policy"] = without_policy(sources["evil"])  # escaping alone must do
    keys = [(name, width) for name in sources for width in (390, 1280)]
    seen = dict(zip(keys, browse(tmp_path, [(sources[n], w) for n, w in keys]), strict=True))
    for (name, width), found in seen.items():
        assert found["width"] == width
        assert found["scroll"] == width, (name, width, found["scroll"])
        assert found["beyond"] == [], (name, width)
        assert found["ran"] == [], name
        assert found["size"] >= 16
        assert found["pictures"]
        assert all(found["pictures"]), "a picture does not show"
        assert found["background"] == "rgb(246, 246, 243)", "the style is not in force"
    assert seen["report", 390]["title"] == "team-03"
    assert "<script>" in seen["evil", 390]["title"]
    first, up, down = seen["index", 390]["orders"]
    assert "14" in first
    assert up == sorted(first, key=float) != first
    assert down == sorted(first, key=float, reverse=True)


def test_the_policy_stops_what_escaping_would_let_through(written, tmp_path):
    """Scripts and handlers put into finished pages by hand do not run; without policy they do."""
    folder, _ = written

    def attacked(path, name):
        run = f"(top.ran ??= []).push('{name}')"
        attack = f"<script>{run}</script><img src='x' onerror=\"{run}\"></body>"
        return path.read_text(encoding="utf-8").replace("</body>", attack)

    index, report = folder / "index.html", folder / "team-01.zip" / "report.html"
    pages = [attacked(index, "index"), attacked(report, "report")]
    pages += [without_policy(attacked(report, "no policy"))]
    # the wrapper looks once all frames have loaded: whatever runs has run
    found = browse(tmp_path, [(page, 390) for page in pages])
    assert set(found[0]["ran"]) == {"no policy"}


def test_pages_are_dark_where_the_reader_wants_it(written, tmp_path):
    """The browser's preference alone decides."""
    folder, _ = written
    page = (folder / "team-01.zip" / "report.html").read_text(encoding="utf-8")
    dark = browse(tmp_path, [(page, 390)], "--blink-settings=preferredColorScheme=0")[0]
    assert dark["background"] == "rgb(18, 21, 25)"


def test_text_has_the_contrast_that_wcag_asks_for():
    """4.5 to 1 for every colour of text on every ground, by day and by night."""
    sets = colour_sets(pages.TEMPLATES / "style.css")
    assert len(sets) == 2
    for colours in sets:
        for ground in ("page", "card", "tint"):
            for ink in set(colours) - {"page", "card", "tint", "line"}:
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground, colours[ink])

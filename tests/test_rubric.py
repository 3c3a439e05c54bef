"""The rubric: its points are those of the assignment text, mistakes in it get sentences, and test
results become points as it says, never more and never for silence."""

import itertools
import re
from pathlib import Path

import pytest
import yaml
from autograder.results import FAILED, MANUAL, NOT_ATTEMPTED, PARTIAL, PASSED, TestResult
from autograder.rubric import DEFAULT, load_rubric
from autograder.text import InputError

from helpers.files import ROOT

IDS = (
    "unet q_sample p_sample p_sample_loop compute_loss latent report_unet report_mnist report_afhq "
    "bonus_evaluation bonus_sampling bonus_edm bonus_scaling"
).split()
BONUS = IDS[9:]  # of the tests' and a person's points
AUTOMATIC = [*IDS[:6], *BONUS]


@pytest.fixture(scope="module")
def rubric():
    return load_rubric()


def result(part, outcome=PASSED, group="", **texts):
    return TestResult(part, texts.pop("name", "test_x"), outcome, group, **texts)


def all_passed():
    """A passed test for each automatic part, for each group of it."""
    groups = {"latent": ["encode", "decode"], "bonus_evaluation": ["fid", "memorization"]}
    groups |= {"bonus_sampling": ["step", "loop"], "bonus_edm": ["denoise", "loss", "heun"]}
    groups["bonus_scaling"] = ["unet", "names", "guidance"]
    return [result(p, group=g) for p in AUTOMATIC for g in groups.get(p, [""])]


def marked(rubric, tests, part, **arguments):
    return {p.id: p for p in rubric.mark(tests, **arguments)}[part]


def changed(tmp_path, change):
    """Path of a copy of the rubric after `change` of its values."""
    values = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    change(values)
    path = tmp_path / "rubric.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def refused(path, *words):
    """Loading fails, every line of the message names the file, and the words are in it."""
    with pytest.raises(InputError) as error:
        load_rubric(path)
    lines = str(error.value).splitlines()
    assert all(line.startswith(str(path)) for line in lines), lines
    for word in words:
        assert word in str(error.value)
    return lines


def test_parts_and_points_are_those_of_the_assignment_text(rubric, starter):
    """Headings and points are read from docs/assignment.md, so that the two cannot part ways."""
    text = starter["docs/assignment.md"].decode("utf-8")
    headings = dict(re.findall(r"^### (\d\. [^(]+) \((\d) points?.*\)$", text, re.M))
    assert rubric.ids == IDS
    for heading, points in headings.items():
        assert sum(p.points for p in rubric.parts if p.task == heading) == int(points), heading
    for part in rubric.parts:
        assert part.task in headings or f"\n## {part.task}\n" in text, part.task
    for name, points in re.findall(r"^- `(\w+)` \((\d)\)", text, re.M):
        assert rubric.part(name).points == int(points)
    assert (rubric.core, rubric.bonus) == (12, 16)
    assert [part.id for part in rubric.parts if part.automatic] == AUTOMATIC
    assert rubric.manual_ids == IDS[6:]
    assert all(part.look_for for part in rubric.parts if part.by_hand)


def test_what_a_person_looks_for_adds_up(rubric):
    """Each line says what it earns, and the lines of a part come to the person's points."""
    for part in rubric.parts:
        stated = [int(re.match(r"(\d) points?: ", line)[1]) for line in part.look_for]
        assert sum(stated) == part.by_hand, part.id


def test_deductions_are_free_once_and_then_five_percent(rubric):
    """Each time after the first that an instruction is not followed costs 5% of 12 points."""
    assert rubric.deduct([]) == (0, [])
    assert rubric.deduct(["no PDF"]) == (0, ["no PDF: free, the first time"])
    points, reasons = rubric.deduct(["no PDF", "absolute path", "data in the zip"])
    assert points == pytest.approx(1.2)
    assert reasons[1:] == ["absolute path: 0.6 points", "data in the zip: 0.6 points"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v["parts"][0].update(points=2), ["points.core", "is 12", "add up to 13"]),
        (lambda v: v["parts"][-1].update(points=3.5), ["points.bonus", "is 16", "add up to 15.5"]),
        (lambda v: v["parts"][5].update(credit={"encode": 0.5, "decode": 0.4}), ["credit", "0.9"]),
        (lambda v: v["parts"][1].update(id="unet"), ["'unet'", "2 times"]),
        (lambda v: v["parts"][1].update(id="total"), ["parts[2] (total).id", "'total'"]),
        (lambda v: v["parts"][1].update(id="Q sample"), ["'Q sample' cannot name a column"]),
        (
            lambda v: v["parts"][1].update(pionts=1),
            ["(q_sample).pionts: unknown key (did you mean 'points'?)"],
        ),
        (
            lambda v: v.update(hand_ins="lastest"),
            ["hand_ins", "best, on-time", "'lastest'"],
        ),
        (lambda v: v.update(bonus_assignment=3), ["bonus_assignment", "must be text"]),
        (lambda v: v.update(part=[]), ["part: unknown key (did you mean 'parts'?)"]),
        (lambda v: v["parts"][1].pop("title"), ["parts[2] (q_sample).title: the key is missing"]),
        (lambda v: v["parts"][1].update(points="one"), ["(q_sample).points", "'one'"]),
        (lambda v: v["parts"][1].update(points=True), ["(q_sample).points", "True"]),
        (lambda v: v["parts"][1].update(points=-1), ["(q_sample).points", "-1"]),
        (lambda v: v["parts"][1].update(points=float("nan")), ["(q_sample).points", "nan"]),
        (lambda v: v["parts"][1].update(automatic="yes"), ["automatic", "true or false"]),
        (lambda v: v["parts"][5].update(credit={"encode": "half"}), ["credit.encode", "'half'"]),
        (lambda v: v["parts"][6].pop("look_for"), ["(report_unet)", "'look_for'"]),
        (lambda v: v["parts"][6].update(credit={"a": 1}), ["'credit' is for automatic parts"]),
        (lambda v: v["parts"].append("more"), ["parts[14]", "must be a mapping"]),
        (lambda v: v["parts"][9].update(human=4), ["(bonus_evaluation).human", "less than"]),
        (lambda v: v["parts"][9].update(human="two"), ["(bonus_evaluation).human", "'two'"]),
        (lambda v: v["parts"][9].update(human=-1), ["(bonus_evaluation).human", "-1"]),
        (lambda v: v["parts"][9].pop("look_for"), ["(bonus_evaluation)", "'look_for'"]),
        (lambda v: v["parts"][6].update(human=1), ["(report_unet).human", "'automatic: false'"]),
        (lambda v: v.update(parts=[]), ["parts", "not empty"]),
        (lambda v: v.update(points=12), ["points", "must be a mapping"]),
        (lambda v: v["deduction"].update(free=0.5), ["deduction.free", "whole number"]),
        (lambda v: v["deduction"].pop("percent"), ["deduction.percent: the key is missing"]),
    ],
)
def test_mistakes_in_a_rubric_get_a_sentence_with_file_and_key(tmp_path, change, words):
    """An instructor who changes points finds the mistake without reading code."""
    refused(changed(tmp_path, change), *words)


def test_all_mistakes_are_listed_at_once(tmp_path):
    """Nobody mends them one run at a time."""

    def change(values):
        values["parts"][0].pop("task")
        values["parts"][3]["points"] = None
        values["deduction"]["perzent"] = 1

    assert len(refused(changed(tmp_path, change))) == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"parts: [", ["line 1"]),
        (b"", ["must be a mapping"]),
        (b"- a\n", ["must be a mapping"]),
        (b"points: \xff", ["UTF-8"]),
        (DEFAULT.read_bytes() + b"\nassignment: again\n", ["'assignment' appears twice"]),
        (None, ["No such file"]),
    ],
)
def test_files_that_are_no_rubric_get_a_sentence(tmp_path, content, words):
    """Missing, empty or of another kind: no traceback."""
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_bytes(content)
    refused(path, *words)


def test_all_tests_passed_earns_all_automatic_points_and_no_manual_one(rubric):
    """A person's parts stay open until a person gives points."""
    parts = rubric.mark(all_passed())
    assert [part.id for part in parts] == IDS
    assert [(p.points, p.status) for p in parts[:6]] == [(1, PASSED)] * 6
    by_tests = [(p.points, p.max_points, p.status, p.human) for p in parts if p.id in BONUS]
    assert by_tests == [(2, 2, PASSED, 2)] * 4
    by_hand = [(p.points, p.status) for p in parts if p.id not in AUTOMATIC]
    assert by_hand == [(None, MANUAL)] * 3


def test_a_bonus_parts_groups_share_what_its_tests_earn(rubric):
    """The person's points are neither earned nor lost by tests."""
    for outcome, points in ((FAILED, 1), (NOT_ATTEMPTED, 1), (PASSED, 2)):
        tests = [result("bonus_sampling", group="step"), result("bonus_sampling", outcome, "loop")]
        part = marked(rubric, tests, "bonus_sampling")
        assert (part.points, part.max_points, part.human) == (points, 2, 2)
    part = marked(rubric, [], "bonus_sampling")
    assert (part.points, part.max_points, part.human) == (0, 2, 2)


def test_silence_is_never_a_pass(rubric):
    """A part whose tests brought nothing, because the run broke down, earns nothing."""
    for part in rubric.mark([])[:6]:
        assert (part.points, part.status) == (0, FAILED)
        assert part.reason
    tests = [t for t in all_passed() if t.part != "p_sample"]
    part = marked(rubric, tests, "p_sample", broken="It was stopped after 60 seconds.")
    assert (part.points, part.status, part.reason) == (
        0,
        FAILED,
        "It was stopped after 60 seconds.",
    )
    # one of two groups silent: half of the points, and the reason names the silent one
    part = marked(rubric, [result("latent", group="encode")], "latent")
    assert (part.points, part.status) == (0.5, PARTIAL)
    assert "decode" in part.reason


def test_one_failed_test_costs_the_part_alone(rubric):
    """A mistake in one part never costs points of another."""
    tests = [*all_passed(), result("q_sample", FAILED, reason="Too much noise.")]
    parts = {part.id: part for part in rubric.mark(tests)}
    assert (parts["q_sample"].points, parts["q_sample"].status) == (0, FAILED)
    assert parts["q_sample"].reason == "Too much noise."
    assert sum(part.points for part in parts.values() if part.points) == 13


@pytest.mark.parametrize(
    ("encode", "decode", "points", "status"),
    [
        (PASSED, PASSED, 1, PASSED),
        (PASSED, FAILED, 0.5, PARTIAL),
        (NOT_ATTEMPTED, PASSED, 0.5, PARTIAL),
        (FAILED, FAILED, 0, FAILED),
        (FAILED, NOT_ATTEMPTED, 0, FAILED),
        (NOT_ATTEMPTED, NOT_ATTEMPTED, 0, NOT_ATTEMPTED),
    ],
)
def test_credit_is_given_by_group(rubric, encode, decode, points, status):
    """Half of a part that is right earns its share."""
    tests = [result("latent", encode, "encode"), result("latent", decode, "decode")]
    part = marked(rubric, tests, "latent")
    assert (part.points, part.status) == (points, status)
    assert part.tests == tests


def test_a_group_earns_only_when_all_of_its_tests_pass(rubric):
    """No share is given for a group that is right in some cases."""
    tests = [result("latent", o, "encode") for o in (PASSED, FAILED, PASSED)]
    part = marked(rubric, [*tests, result("latent", group="decode")], "latent")
    assert part.points == 0.5


def test_a_failed_test_of_no_group_costs_all_groups(rubric):
    """Also one of a misspelled group: it must never lift a part's points."""
    both = [result("latent", group=g) for g in ("encode", "decode")]
    for group in ("", "decoed"):
        part = marked(rubric, [*both, result("latent", FAILED, group, reason="No.")], "latent")
        assert (part.points, part.status, part.reason) == (0, FAILED, "No.")


def test_not_attempted_only_where_nothing_failed(rubric):
    """A stub is told apart from a wrong answer, also where both appear."""
    stub, wrong = result("unet", NOT_ATTEMPTED, reason="Stub."), result("unet", FAILED)
    for tests in ([stub], [stub, stub], [result("unet"), stub]):
        part = marked(rubric, tests, "unet")
        assert (part.points, part.status, part.reason) == (0, NOT_ATTEMPTED, "Stub.")
    assert marked(rubric, [stub, wrong], "unet").status == FAILED


def test_the_reason_is_that_of_the_first_failed_test_with_a_known_mistake(rubric):
    """Whatever the order: known mistake before other failure before stub; first of equals."""
    known = [result("unet", FAILED, reason=f"known {n}", hint="Look.", hint_id="m") for n in "ab"]
    other = result("unet", FAILED, reason="other", hint="Hm.")
    stub = result("unet", NOT_ATTEMPTED, reason="stub")
    for tests in itertools.permutations([*known, other, stub, result("unet")]):
        part = marked(rubric, list(tests), "unet")
        first = next(t for t in tests if t.hint_id)
        assert (part.reason, part.hint, part.hint_id) == (first.reason, "Look.", "m")
    part = marked(rubric, [stub, other], "unet")
    assert (part.reason, part.hint, part.hint_id) == ("other", "Hm.", "")


def test_a_general_hint_gives_way_to_a_precise_one_of_the_same_test(rubric):
    """Another schedule may tell what the first one cannot; another test may be about more."""

    def missed(name, hint_id):
        return result("p_sample", FAILED, name=name, reason=hint_id, hint_id=hint_id)

    general = missed("test_noise[mnist]", "p_sample_wrong_sigma")
    precise = missed("test_noise[cosine]", "p_sample_log_variance")
    other = missed("test_again[mnist]", "noise_repeated")
    for tests, hint_id in (
        ([general, precise], "p_sample_log_variance"),
        ([general, other], "p_sample_wrong_sigma"),
        ([other, general, precise], "noise_repeated"),
        ([missed("test_noise[mnist]", "p_sample_no_noise"), precise], "p_sample_no_noise"),
    ):
        part = marked(rubric, tests, "p_sample")
        assert (part.hint_id, part.reason) == (hint_id, hint_id)


def test_a_failed_test_without_words_is_named(rubric):
    """No part fails without a reason."""
    part = marked(rubric, [result("unet", FAILED, name="test_skips[mnist]")], "unet")
    assert "test_skips[mnist]" in part.reason


def test_outcomes_nobody_knows_earn_nothing(rubric):
    """Skipped or invented outcomes are no way to points."""
    assert marked(rubric, [result("unet", "skipped"), result("unet")], "unet").points == 0


def test_shares_that_floats_cannot_hold_come_to_exactly_all_points(tmp_path):
    """0.1 + 0.2 + 0.7 is not 1 in floating point; a full part is, and no part exceeds it."""
    path = changed(tmp_path, lambda v: v["parts"][5].update(credit={"a": 0.1, "b": 0.2, "c": 0.7}))
    rubric = load_rubric(path)
    for passed in itertools.product([PASSED, FAILED], repeat=3):
        tests = [result("latent", o, g) for o, g in zip(passed, "abc", strict=True)]
        part = marked(rubric, tests, "latent")
        share = sum(s for s, o in zip((0.1, 0.2, 0.7), passed, strict=True) if o == PASSED)
        assert part.points == pytest.approx(share)
        assert part.points <= 1
        assert (part.status == PASSED) == (part.points == 1)


def test_tests_of_a_manual_part_inform_and_earn_nothing(rubric):
    """What a person grades, no test decides."""
    part = marked(rubric, [result("report_mnist")], "report_mnist")
    assert (part.points, part.status, len(part.tests)) == (None, MANUAL, 1)


def test_only_leaves_out_the_other_parts(rubric):
    """--only gives results in the rubric's order."""
    parts = rubric.mark(all_passed(), only=["latent", "unet"])
    assert [part.id for part in parts] == ["unet", "latent"]


def test_a_part_that_the_rubric_lacks_is_an_error(rubric):
    """A test of an unknown part would earn points that nobody sees."""
    with pytest.raises(InputError, match=r"'latnt' \(did you mean 'latent'\?\)"):
        rubric.mark([result("latnt")])
    with pytest.raises(InputError, match="no part 'nothing'"):
        rubric.mark([], only=["nothing"])


def test_the_default_rubric_lies_beside_the_code(rubric):
    """A starter and a bundle find it without being told."""
    assert rubric.path == Path(DEFAULT)
    assert DEFAULT.parent == ROOT / "autograder"

"""Submissions of earlier editions are graded as they were handed in, with their own code/libs."""

import secrets
from unittest import mock

import numpy as np
import pytest
import yaml
from autograder.checks.cases import load_goldens
from autograder.checks.findings import Finding
from autograder.checks.loss import Objective
from autograder.checks.messages import Answer, Tensor
from autograder.checks.student import PART_SECONDS, SUBMISSION_SECONDS, RunState
from autograder.checks.unet_wiring import same_condition
from autograder.hidden.schedule import with_rates
from autograder.judge import judge, not_judged
from autograder.results import FAILED, TestResult
from instructor.cutting.editions import rubric_of_all_parts
from instructor.submissions import overlay

from helpers.files import ROOT


def tensor(array: np.ndarray) -> Tensor:
    """A submission's tensor as it came over the wire."""
    return Tensor("float32", "cpu", list(array.shape), array)


@pytest.mark.parametrize("shape", [(2, 8), (2, 1, 8), (2, 8, 1, 1)])
@pytest.mark.parametrize("given", [(2, 8), (2, 1, 8)])
def test_a_condition_is_known_by_its_values(shape, given):
    """Who adds a token's axis of length 1, the embedding or the network, does not matter."""
    array = np.arange(16, dtype=np.float32)
    assert same_condition(tensor(array.reshape(shape)), array.reshape(given))
    assert not same_condition(tensor(array[::-1].reshape(shape)), array.reshape(given))


def test_the_batch_stays_the_first_axis_of_a_condition():
    """A token's axis in the batch's place would show all samples' labels to each of them."""
    array = np.arange(16, dtype=np.float32)
    for wrong in ((1, 2, 8), (16,), (8, 2), (2, 2, 4)):
        assert not same_condition(tensor(array.reshape(wrong)), array.reshape(2, 8))
    assert not same_condition(None, array.reshape(2, 8))
    assert not same_condition(tensor(np.float32(1)), array.reshape(2, 8))


def test_a_loss_that_draws_t_is_judged_by_rates_that_students_do_not_have():
    """An older edition's loss is judged at the t it drew; in a starter it is a sentence."""
    (case,) = [c for c in load_goldens() if (c.part, c.config) == ("compute_loss", "odd")]
    images, t = case.inputs["x_start"], np.array([7])
    drawn = {"answer": Answer(None, draws=True), "t": t}
    with pytest.raises(Finding, match="draws t itself"):
        Objective(case, images, images, **drawn).rates()
    (known,) = with_rates([case])
    betas = np.linspace(1e-4, 0.02, case.kwargs["timesteps"])
    alpha_bar = np.cumprod(1 - betas)[t].reshape(1, 1, 1, 1)
    signal, noise = Objective(known, images, images, **drawn).rates()
    np.testing.assert_allclose(signal**2, alpha_bar)
    np.testing.assert_allclose(noise**2, 1 - alpha_bar)


SCENARIOS = {
    s.name: s
    for kind in ("right", "wrong")
    for s in overlay.scenarios(kind)
    if overlay.is_edition(s.base)
}
EVERYDAY = ["right_fall2024", "right_fall2025"]


def marked(name: str):
    """Most scenarios are slow tests."""
    return pytest.param(name, marks=() if name in EVERYDAY else pytest.mark.slow)


def test_the_judges_tests_have_names_of_their_own():
    """The judge runs them within its process, here pytest's own, which keeps one module a name."""
    theirs = {path.name for path in (ROOT / "autograder" / "tests").glob("test_*.py")}
    assert not theirs & {path.name for path in (ROOT / "tests").glob("test_*.py")}


@pytest.mark.parametrize("name", [marked(name) for name in SCENARIOS])
def test_each_part_of_an_edition_is_judged_as_it_is(name, sandbox, tmp_path):
    """A wrong part loses points with its hint, a right one none, a part that was not asked all."""
    scenario = SCENARIOS[name]
    path = scenario.zip_to(tmp_path / f"{name}.zip")
    grade = judge(path, rubric_of_all_parts(), sandbox=sandbox, seed=secrets.randbelow(2**31))
    tested = [part for part in grade.parts if part.points is not None]
    lost = {part.id: part.reason for part in tested if part.points < part.max_points}
    assert set(lost) == {scenario.fails, *scenario.may_fail, *scenario.lacks} - {""}, lost
    assert not [part for part in scenario.lacks if grade.part(part).points]
    assert not scenario.fails or grade.part(scenario.fails).hint_id == scenario.hint
    assert bool(scenario.look) == bool(grade.needs_look), grade.needs_look
    assert all(scenario.look in words for words in grade.needs_look)


@pytest.mark.parametrize(
    ("broken", "most"),
    [
        ("raise RuntimeError('broken')\n", 8),  # a module fails once for all parts
        pytest.param("torch.linspace = lambda *args: 1 / 0\n", 36, marks=pytest.mark.slow),
    ],
)
def test_a_build_that_fails_is_not_tried_again_per_test(broken, most, sandbox, tmp_path):
    """It took 105 workers; the network keeps its point, and no other part gets one."""
    scenario = overlay.Scenario("right", "broken", "", "fall2024", places={"ddpm.top": broken})
    path = scenario.zip_to(tmp_path / "broken.zip")
    with mock.patch.object(sandbox, "worker", wraps=sandbox.worker) as worker:
        grade = judge(path, rubric_of_all_parts(), sandbox=sandbox, seed=1)
    assert [part.id for part in grade.parts if part.points] == ["unet"]
    assert worker.call_count <= most


def test_no_part_takes_the_time_of_another():
    """Each part has some time, whatever those before it took; what is left over goes on."""
    state = RunState()
    for to_come in range(9, -1, -1):
        state.begin_part()
        assert state.part_left >= PART_SECONDS
        assert state.to_come == to_come
        state.spend("q_sample", state.part_left)
    assert state.seconds_left == pytest.approx(0)
    state = RunState(to_come=1)
    state.begin_part()
    assert state.part_left == SUBMISSION_SECONDS


def test_what_used_the_time_is_said():
    """A part whose time is spent says for what, and a person reads it."""
    state = RunState(seconds_left=20, to_come=1)
    state.begin_part()
    state.check_time()
    state.spend("q_sample", 2)
    state.spend("compute_loss", 18.4)
    with pytest.raises(Finding, match="spent: compute_loss took 18 s of it") as finding:
        state.check_time()
    reason, hint = finding.value.reason, finding.value.hint
    names = ("q_sample", "q_sample", "p_sample")
    results = [TestResult(name, "test", FAILED, reason=reason, hint_id=hint) for name in names]
    assert not_judged(results) == [f"Not judged completely: q_sample, p_sample. {reason}"]


@pytest.mark.parametrize(
    ("hint", "reason", "looks"),
    [
        ("missing_package", "ModuleNotFoundError: No module named 'einops' (code/libs/x.py)", True),
        (
            "missing_package",
            "ModuleNotFoundError: No module named 'libs.x' (code/libs/x.py)",
            False,
        ),
        ("missing_package", "ImportError: cannot import name 'x' from 'libs.y'", False),
        ("syntax_error", "SyntaxError: invalid syntax in 'type X = int', says Python 3.11", True),
        ("notebook_line", "SyntaxError: invalid syntax in '%time', says Python 3.11", False),
    ],
)
def test_what_may_run_elsewhere_needs_a_look(hint, reason, looks):
    """A package that is not installed here, and what a newer Python may read."""
    results = [TestResult("q_sample", "test", FAILED, reason=reason, hint_id=hint)]
    assert bool(not_judged(results)) == looks


def test_every_edition_has_scenarios():
    """A whole right hand-in, and hand-ins with known mistakes, each with a hint that there is."""
    hints = yaml.safe_load((ROOT / "autograder" / "hints.yaml").read_text(encoding="utf-8"))
    for edition in overlay.editions():
        kinds = [s.kind for s in SCENARIOS.values() if s.base == edition]
        assert f"right_{edition}" in SCENARIOS
        assert kinds.count("wrong") >= 3
    assert not [s.name for s in SCENARIOS.values() if s.hint and s.hint not in hints]
    assert all(s.about.endswith(".") for s in SCENARIOS.values())

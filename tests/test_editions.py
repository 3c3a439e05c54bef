"""Submissions of earlier editions are graded as they were handed in, with their own code/libs."""

import secrets

import numpy as np
import overlay
import pytest
import yaml
from autograder.judge import judge
from autograder.rubric import load_rubric
from autograder.sandbox.sandbox import Sandbox
from autograder.student import Tensor
from autograder.wiring import same_condition
from conftest import ROOT


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


SCENARIOS = {
    s.name: s
    for kind in ("right", "wrong")
    for s in overlay.scenarios(kind)
    if overlay.is_edition(s.base)
}
EVERYDAY = ["right_fall2024", "right_fall2025", "fall2025_loss_never_draws_the_last_t"]


@pytest.fixture(scope="module")
def sandbox():
    """A warm sandbox for all of this module's submissions."""
    with Sandbox(trusted=True) as sandbox:
        yield sandbox


def marked(name: str):
    """Most scenarios are slow tests."""
    return pytest.param(name, marks=() if name in EVERYDAY else pytest.mark.slow)


@pytest.mark.parametrize("name", [marked(name) for name in SCENARIOS])
def test_each_part_of_an_edition_is_judged_as_it_is(name, sandbox, tmp_path):
    """A wrong part loses points with its hint, a right one none, a part that was not asked all."""
    scenario = SCENARIOS[name]
    path = scenario.zip_to(tmp_path / f"{name}.zip")
    grade = judge(path, load_rubric(), sandbox=sandbox, seed=secrets.randbelow(2**31))
    tested = [part for part in grade.parts if part.points is not None]
    lost = {part.id: part.reason for part in tested if part.points < part.max_points}
    assert set(lost) == {scenario.fails, *scenario.may_fail, *scenario.lacks} - {""}, lost
    assert not [part for part in scenario.lacks if grade.part(part).points]
    assert not scenario.fails or grade.part(scenario.fails).hint_id == scenario.hint
    assert not grade.needs_look


def test_every_edition_has_scenarios():
    """A whole right hand-in, and hand-ins with known mistakes, each with a hint that there is."""
    hints = yaml.safe_load((ROOT / "autograder" / "hints.yaml").read_text(encoding="utf-8"))
    for edition in overlay.editions():
        kinds = [s.kind for s in SCENARIOS.values() if s.base == edition]
        assert f"right_{edition}" in SCENARIOS
        assert kinds.count("wrong") >= 3
    assert not [s.name for s in SCENARIOS.values() if s.hint and s.hint not in hints]
    assert all(s.about.endswith(".") for s in SCENARIOS.values())

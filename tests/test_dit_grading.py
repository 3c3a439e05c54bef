"""The judge of the vision transformer: each group of its functions is judged on its own."""

import pytest
from autograder.judge import judge
from autograder.sandbox.sandbox import Sandbox
from instructor.cutting.editions import rubric_of_all_parts
from instructor.submissions import overlay

BY_TESTS = 2.0  # points
WRONG = {s.name: s for s in overlay.scenarios("wrong") if s.fails == "dit"}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "left"),
    [
        (["dit_patches_by_columns"], 0.75),
        (["dit_unpatch_channels_first"], 0.75),
        (["dit_modulate_without_one"], 0.625),
        (["dit_block_mlp_first"], 0.625),
        (["dit_without_positions"], 0.625),
        (["dit_modulate_without_one", "dit_patches_by_columns"], 0.375),
    ],
)
def test_a_mistake_costs_its_own_group(names, left, sandbox, tmp_path):
    """A wrong piece does not cost `forward`, which calls it, nor `forward` its pieces."""
    places = {place: code for name in names for place, code in WRONG[name].places.items()}
    scenario = overlay.Scenario("wrong", "dit_example", "", "reference", places=places)
    path = scenario.zip_to(tmp_path / "dit.zip")
    part = judge(path, rubric_of_all_parts(), sandbox=sandbox, seed=7, only=("dit",)).part("dit")
    assert part.points == pytest.approx(left * BY_TESTS), [
        (test.name, test.reason) for test in part.tests if test.reason
    ]
    assert part.hint_id in {WRONG[name].hint for name in names}

"""Mutants: mistakes made by rule, which the scorecard finds out the tests' gaps with."""

import ast
import json
import re
import shutil

import numpy as np
import pytest
import torch
from instructor.cutting.regions import is_marker, unmarked
from instructor.measuring.table import targets
from instructor.mutants import measure, rules
from instructor.submissions.catalogue import PARTS

from helpers.files import ROOT
from helpers.scripts import run_script

SMALL = """\
def f(a, b):
    # TODO 1 f: Add.
    # BEGIN SOLUTION q_sample
    if a > 2:
        b = -b
    return g(a, b)[0]
    # END SOLUTION
"""
SMALL_CHANGES = """\
f: if a > 2: -> nothing
f: a > 2 -> a <= 2
f: a > 2 -> a >= 2
f: 2 -> 3
f: 2 -> 1
f: b = -b -> nothing
f: -b -> b
f: 0 -> 1
f: 0 -> -1
f: g(a, b) -> a
f: g(a, b) -> g(b, a)
f: a -> b
f: b -> a
"""


TENSORS = """\
def f(x: Tensor, number: int) -> Tensor:
    # TODO 1 f: Add.
    # BEGIN SOLUTION q_sample
    y = x * len(range(number))
    z = math.sqrt(number) * number
    return g(x + y, z)
    # END SOLUTION
"""


@pytest.fixture(scope="module")
def found() -> list[rules.Mutant]:
    return rules.all_mutants()


def test_every_small_change_is_made_once():
    """Operators, constants, conditions, arguments, names, and statements that are left out."""
    seen = [m.change for m in rules.mutants_of(SMALL, "code/libs/x.py")]
    assert sorted(seen) == sorted(SMALL_CHANGES.splitlines())


def test_what_may_be_a_tensor_is_clamped():
    """Sums and results of calls are, numbers of Python are not."""
    seen = [m.change for m in rules.mutants_of(TENSORS, "code/libs/x.py")]
    clamped = [change.split(" -> ")[0] for change in seen if change.endswith("clamped")]
    assert clamped == ["f: x * len(range(number))", "f: g(x + y, z)", "f: x + y"]
    later = [change.split(" -> ")[0] for change in seen if change.endswith("first later")]
    assert later == clamped


def test_the_seventeenth_sample_is_taken_for_the_first():
    """And small batches stay as they are."""
    for batch in (1, 2, 16, 17, 20):
        samples = torch.arange(2 * batch).view(batch, 2)
        found = eval(rules.LATER.format("samples"), {"samples": samples})[:, 0]
        assert found.tolist() == [2 * i if i < 16 else 0 for i in range(batch)]


def test_there_are_enough_for_every_part(found):
    """The rules make several hundred mutants, in every part, and hardly any twice."""
    assert len(found) >= 400
    assert {mutant.part for mutant in found} == set(PARTS)
    assert len({str(mutant).split(":", 3)[3] + mutant.part for mutant in found}) > 0.9 * len(found)


def test_a_mutant_is_the_reference_with_one_change(found):
    """It parses, has no marker, and differs from the reference in a statement or two."""
    for mutant in found[::40]:
        reference = (ROOT / mutant.file).read_text(encoding="utf-8")
        kept = {line.strip() for line in mutant.text.splitlines()}
        lost = [line for line in reference.splitlines() if line.strip() not in kept]
        assert ast.parse(mutant.text)
        assert not any(map(is_marker, mutant.text.splitlines()))
        assert len([line for line in lost if not is_marker(line)]) <= 9, mutant
        assert unmarked(reference) != mutant.text


def test_all_that_count_as_equivalent_are_mutants(found):
    """A change of the reference must not leave entries that mean nothing any more."""
    known = {(mutant.part, mutant.change) for mutant in found}
    for part, changes in rules.equivalents().items():
        for change, why in changes.items():
            assert (part, change) in known
            assert why.endswith(".")


def test_outputs_are_equal_up_to_rounding():
    """Outputs that differ by rounding count as equal, other values and shapes do not."""
    one = {"a": [{"tensor": "float32", "array": np.float32([1, np.nan])}, 0.5, "x"]}
    near = {"a": [{"tensor": "float32", "array": np.float32([1 + 1e-6, np.nan])}, 0.5, "x"]}
    assert measure.same(one, near)
    for other in ([1, 2], [1, np.nan, 3], [1.01, np.nan]):
        assert not measure.same(one, {"a": [{**one["a"][0], "array": np.float32(other)}, 0.5, "x"]})
    assert not measure.same(one, None)
    assert not measure.same({"a": 1}, {"a": True})


def test_the_table_and_the_targets_count_survivors():
    """The table and the targets leave out equal mutants and count survivors."""
    tally = measure.Tally(total=10, killed=6, elsewhere=1, equal=1, listed=1)
    figures = measure.figures([tally])
    assert figures["mutants"] == 8
    assert figures["mutants_killed"] == 7
    assert measure.in_words(figures).startswith("7 of 8 mutants lose points, 6 for")
    assert targets(figures) == ["mutants_killed", "mutants_right_part"]
    assert targets({**figures, "mutants_unlisted": 1}) == ["mutants_right_part"]
    assert measure.table({"q_sample": tally})[2].endswith("| 10 | 2 | 6 | 1 | 0 |")


@pytest.mark.slow
def test_a_weakened_test_lowers_the_figure(tmp_path):
    """Mutants of q_sample survive, and are named, where its tests ask nothing."""
    kit = tmp_path / "kit"
    for name in ("autograder", "code", "configs", "instructor", "results"):
        shutil.copytree(ROOT / name, kit / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "zip_submission.py", kit / "zip_submission.py")
    file = kit / "autograder/tests/test_q_sample.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(r"(?m)^(def test_.*\n)", r"\1    return\n", text), encoding="utf-8")
    names = "q_sample: *: q_sample: signal_rate * x_start + noise_rate * noise -> *"
    figures = {}
    for root in (ROOT, kit):
        out = tmp_path / f"{root.name}.json"
        flags = ("--mutants", "--names", names, "--jobs", 1, "--json", out)
        done = run_script(root / "instructor/scorecard.py", *flags)
        figures[root] = json.loads(out.read_text(encoding="utf-8"))
    number = figures[ROOT]["mutants"]
    assert number == figures[kit]["mutants"] >= 4, done.stdout + done.stderr
    assert figures[ROOT]["mutants_right_part"] == number
    assert figures[kit]["mutants_right_part"] == figures[kit]["mutants_killed"] == 0
    assert done.returncode == 1
    assert done.stdout.count("survives: q_sample: code/libs/ddpm.py:") == number

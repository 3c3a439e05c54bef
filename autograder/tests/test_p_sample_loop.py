"""p_sample_loop: the whole chain, from noise to pictures (Ho et al. 2020, Algorithm 2)."""

import numpy as np
import pytest
from autograder.cases import Case
from autograder.chain import check_pictures, walk
from autograder.evidence import check_untouched
from autograder.student import Finding, Student

PART = "p_sample_loop"


def test_chain(student: Student, case: Case, random: np.random.Generator) -> None:
    """The chain starts from noise, takes the steps T-1, ..., 0, and returns pictures in [0, 1]."""
    chain, answer, x_0 = walk(student, case, random)
    check_pictures(answer.value, x_0, chain)
    check_untouched(answer, ["labels"])


@pytest.mark.configs("odd")
def test_draws_anew(student: Student, case: Case, random: np.random.Generator) -> None:
    """Two chains start from different noise."""
    starts = []
    for _ in range(2):
        chain, _, _ = walk(student, case, random)
        starts.append(chain.start.array)
    if np.allclose(starts[0], starts[1], atol=1e-3):
        raise Finding("Two chains started from the same noise.", "noise_repeated")

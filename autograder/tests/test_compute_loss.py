"""compute_loss: the simplified training objective (Ho et al. 2020, eq. 14 and Algorithm 1)."""

from autograder.cases import Case
from autograder.objective import Objective, check_drawn_times, check_two_draws
from autograder.student import Student

PART = "compute_loss"


def test_given_noise(student: Student, case: Case) -> None:
    """The loss is the mean squared error between the network's prediction and the given noise."""
    images = case.inputs["x_start"]
    objective = Objective(case, images, images)
    objective.run(student, case.inputs["noise"])
    objective.check(case.inputs["noise"])


def test_own_noise(student: Student, case: Case) -> None:
    """Without noise given, the same noise diffuses the image and is the network's target."""
    images = case.inputs["x_start"]
    noises = []
    for _ in range(2):
        objective = Objective(case, images, images)
        objective.run(student)
        noises.append(objective.check(None))
    check_two_draws(*noises)
    if objective.answer.draws and case.config == "odd":  # which has the fewest time steps
        check_drawn_times(student, case)

"""Grade many submissions in several processes, each with a sandbox that it reuses."""

import atexit
import functools
import multiprocessing
import signal
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from autograder.judge import all_failed, judge, new_grade
from autograder.results import Grade
from autograder.rubric import Rubric
from autograder.sandbox import kernel
from autograder.sandbox.sandbox import Sandbox


@dataclass(frozen=True)
class Order:
    """How to grade a batch."""

    rubric: Rubric
    seed: int
    public: bool = False
    only: tuple[str, ...] = ()  # ids of the parts to test; empty: all
    trust: bool = False  # grade even where a submission could grade itself
    names: Mapping[Path, str] = field(default_factory=dict)  # what results call each submission
    private: tuple[str, ...] = ()  # folders of submissions and grades, which no worker may read


@functools.cache
def own_sandbox(trusted: bool, private: tuple[str, ...]) -> Sandbox:
    """This process's own sandbox: started by the first call, ended with the process."""
    sandbox = Sandbox(trusted=trusted, private=private).__enter__()
    atexit.register(sandbox.close)
    return sandbox


def grade_one(path: Path, order: Order) -> Grade:
    """Grade a submission with this process's own sandbox.

    Raises:
        SandboxError: this machine cannot grade, or only with `order.trust`.
    """
    grade = judge(
        path,
        order.rubric,
        sandbox=own_sandbox(order.trust, order.private),
        seed=order.seed,
        public=order.public,
        only=order.only,
    )
    grade.submission = order.names.get(path, grade.submission)
    return grade


def grade_all(paths: list[Path], order: Order, jobs: int) -> Iterator[Grade]:
    """Grade submissions, and yield each grade when it is done.

    If a process dies, the submissions that were being graded are graded again, one by one. One
    whose process dies a second time gets no points and a note for a person; no other loses any.

    Args:
        jobs: number of processes; with one submission or one job, this process does the work.
    """
    if jobs == 1 or len(paths) <= 1:
        for path in paths:
            yield grade_one(path, order)
        return
    left = list(paths)
    while left:
        running: dict[Future, Path] = {}
        done = set()
        for path, grade in _in_processes(left, order, min(jobs, len(left)), running):
            done.add(path)
            yield grade
        for path in running.values():  # a process died meanwhile
            done.add(path)
            again = [grade for _, grade in _in_processes([path], order, 1, {})]
            yield again[0] if again else died(path, order)
        left = [path for path in left if path not in done]


def _in_processes(
    paths: list[Path], order: Order, jobs: int, running: dict[Future, Path]
) -> Iterator[tuple[Path, Grade]]:
    """Yield the path and grade of each submission, until all are done or a process dies.

    In that case `running` holds the submissions that were being graded.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin)
    try:
        waiting = iter(paths)
        while True:
            # only as many as can run, so that an interrupt waits for no queue
            for path in waiting:
                running[pool.submit(grade_one, path, order)] = path
                if len(running) >= jobs:
                    break
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                grade = future.result()
                yield running.pop(future), grade
    except BrokenProcessPool:
        return
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Prepare a process of the pool: it ignores Ctrl-C, and ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGTERM)


def died(path: Path, order: Order) -> Grade:
    """The grade of a submission on which the grader's own process died twice."""
    grade = new_grade(path, order.seed, order.public)
    grade.submission = order.names.get(path, path.name)
    grade.needs_look.append("The grader's process died on it twice: grade it by hand.")
    results = all_failed(order.rubric, "run", "The grader's process died.", "grader_failed")
    grade.parts = order.rubric.mark(results, order.only or None)
    return grade

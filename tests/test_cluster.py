"""Grading on a Dask cluster: submissions travel whole, and each is graded once, whoever dies."""

import datetime
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from autograder.batch import Order
from autograder.extras import cluster
from autograder.reading.submission import open_submission
from autograder.results import FAILED, PASSED, Grade
from autograder.rubric import load_rubric
from autograder.sandbox.limits import SandboxError
from autograder.text import InputError
from instructor.cutting.cutter import build
from instructor.cutting.files import tracked_files

from helpers.files import ROOT
from helpers.scripts import ENVIRONMENT

ORDER = Order(load_rubric(), seed=7, only=("q_sample",))
STUB = b"class DDPM:\n    pass\n"
HANDED_IN = datetime.datetime(2026, 9, 21, 14, 30, tzinfo=datetime.UTC)


def travelled(path: Path, folder: Path) -> Path:
    """The submission as it arrives on a worker."""
    return cluster.unpack(pickle.loads(pickle.dumps(cluster.pack(path))), folder)


def opened(path: Path, work: Path) -> tuple:
    """All that the grader reads from a submission, with the code by its names."""
    found = open_submission(path, work, ROOT / "code")
    code = {p.relative_to(work): p.read_bytes() for p in work.rglob("*") if p.is_file()}
    return {**vars(found), "code_folder": None}, code


def write_messy_folder(folder: Path) -> Path:
    files = {"code/libs/ddpm.py": STUB, "results/sample_1.png": b"\x89PNG", "team.csv": b"member\n"}
    files |= {"code/libs/__pycache__/x.pyc": b"x", ".venv/pyvenv.cfg": b"", ".venv/lib/y.py": b"y"}
    files |= {"my env/pyvenv.cfg": b"", "my env/bin/z.py": b"z", "data/train/1.png": b"1"}
    files |= {"a b/\u00e4 \u6f22.py": b"n", ".DS_Store": b"x", "code/model.pth": b"m" * 3000}
    for name, content in files.items():
        path = folder / os.fsdecode(name.encode())  # these very bytes, in a locale of ASCII, too
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / os.fsdecode(b"caf\xe9.py")).write_bytes(b"no UTF-8 name")
    (folder / "code" / "libs" / "unet.py").symlink_to("/etc/passwd")
    (folder / "elsewhere").symlink_to("/etc")
    (folder / "circle").symlink_to(folder)
    return folder


def test_a_folder_arrives_as_it_lay(tmp_path):
    """A grade does not depend on where it was made: links, odd names and all that counts arrive."""
    folder = write_messy_folder(tmp_path / "here" / "team-07")
    os.utime(folder, (HANDED_IN.timestamp(), HANDED_IN.timestamp()))
    (tmp_path / "there").mkdir()
    there = travelled(folder, tmp_path / "there")
    (facts, code), (facts_there, code_there) = (
        opened(folder, tmp_path / "a"),
        opened(there, tmp_path / "b"),
    )
    assert facts == facts_there
    assert code == code_there
    assert len(facts["sha256"]) == 64
    assert facts["name"] == "team-07"
    assert facts["origin"].date == HANDED_IN.isoformat()
    assert any("Links" in note for note in facts["notes"])  # they were on board
    # what is never looked at is not sent either
    assert not [name for name, _ in cluster.pack(folder).files if "env" in name]


@pytest.mark.parametrize(
    ("above", "name", "team"),
    [
        ("zips", "team-07.zip", "team-07"),
        ("Example Name_12345_assignsubmission_file_", "submission.zip", "Example Name"),
        ("team-08", "submission.zip", "team-08"),
        ("canvas", "examplename_1234_5678_submission.zip", "examplename"),
    ],
)
def test_a_zip_keeps_its_bytes_its_name_and_its_team(tmp_path, above, name, team):
    """The team is read from the folder's name too, which travels along."""
    path = tmp_path / "here" / above / name
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("code/libs/ddpm.py", STUB)
    os.utime(path, (HANDED_IN.timestamp(), HANDED_IN.timestamp()))
    (tmp_path / "there").mkdir()
    there = travelled(path, tmp_path / "there")
    assert there.name == name
    assert there.read_bytes() == path.read_bytes()
    found = opened(there, tmp_path / "b")
    assert found == opened(path, tmp_path / "a")
    assert found[0]["team"] == team
    assert found[0]["origin"].date == HANDED_IN.isoformat()


def test_what_cannot_travel_is_left_to_the_grader_here(tmp_path, monkeypatch):
    """Large, crowded and unreadable submissions neither fill the scheduler nor hang the packing."""
    large, many = tmp_path / "large.zip", tmp_path / "many"
    large.write_bytes(b"x" * 101)
    many.mkdir()
    for n in range(4):
        (many / f"{n}.py").write_bytes(b"x")
    monkeypatch.setattr(cluster, "MAX_SENT", 100)
    monkeypatch.setattr(cluster, "MAX_ENTRIES", 3)
    for path in (large, many):
        with pytest.raises(cluster.TooLarge):
            cluster.pack(path)
    piped = tmp_path / "piped"
    piped.mkdir()
    os.mkfifo(piped / "pipe")  # whoever reads it waits for ever
    for path in (piped, tmp_path / "gone.zip"):
        with pytest.raises(OSError, match=r"pipe|gone\.zip"):
            cluster.pack(path)


class PretendedCluster:
    """Ends tasks in the reverse order; the worker of each submission whose name says so dies."""

    def __init__(self):
        self.most = 0

    def count_threads(self):
        return 2

    def submit(self, parcel, order):
        assert parcel.content is not None
        return (parcel.name, len(parcel.content))

    def wait_for_one(self, tasks):
        self.most = max(self.most, len(tasks))
        return {tasks[-1]}

    def result(self, task):
        return None if "dies" in task[0] else Grade(task[0])


def test_each_submission_is_yielded_once_however_it_ends(tmp_path, monkeypatch):
    """A dead worker costs its submission, nobody else's, and few submissions wait in memory."""
    names = ["a.zip", "dies.zip", "large.zip", *(f"team-{n:02}.zip" for n in range(20))]
    for name in names:
        (tmp_path / name).write_bytes(b"x" * (200 if name == "large.zip" else 10))
    pretended = PretendedCluster()

    @contextmanager
    def connected(address):
        yield pretended

    monkeypatch.setattr(cluster, "connected", connected)
    monkeypatch.setattr(cluster, "MAX_SENT", 100)
    monkeypatch.setattr(cluster, "grade_one", lambda path, order: Grade(path.name, team="here"))
    grades = list(cluster.grade_on_cluster([tmp_path / n for n in names], ORDER, "x"))
    assert sorted(grade.submission for grade in grades) == sorted(names)
    by_name = {grade.submission: grade for grade in grades}
    assert by_name["large.zip"].team == "here"
    assert by_name["dies.zip"].needs_look
    assert by_name["dies.zip"].part("q_sample").status == FAILED
    assert pretended.most == 4  # not all bytes wait in the scheduler


def test_a_task_that_dask_gave_up_has_no_grade_and_others_a_sentence():
    """A submission that kills its worker is told apart from a cluster that does not work."""
    scheduler = pytest.importorskip(
        "distributed.scheduler", reason="needs Dask (requirements/grade.txt)"
    )

    class Task:
        def __init__(self, error):
            self.error = error

        def result(self):
            raise self.error

    here = cluster.Cluster(None, "tcp://192.0.2.1:8786")
    assert here.result(Task(scheduler.KilledWorker("task", None, 3))) is None
    for error, sentence in (
        (OSError("closed"), "is gone"),
        (ModuleNotFoundError("No module named 'autograder'"), "cannot run the grader"),
        (AttributeError("Can't get attribute 'grade_parcel'"), "cannot run the grader"),
    ):
        with pytest.raises(InputError, match=sentence):
            here.result(Task(error))
    with pytest.raises(SandboxError, match="here"):
        here.result(Task(SandboxError("no worker here")))


def test_a_worker_with_another_grader_refuses(tmp_path):
    """All grades of a class come from the same version of the grader."""
    parcel = cluster.Parcel("team-07.zip", "", 0, b"")
    with pytest.raises(SandboxError, match="bring it up to date"):
        cluster.grade_parcel(parcel, ORDER, "0" * 64)


def test_without_dask_one_sentence(monkeypatch):
    """A missing package is named with the command that installs it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"needs Dask.*requirements/grade\.txt"):
        next(cluster.grade_on_cluster([], ORDER, "tcp://127.0.0.1:1"))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "127.0.0.1:99999999"])
def test_without_a_scheduler_one_sentence(monkeypatch, address):
    """A wrong address ends soon, with the address."""
    pytest.importorskip("distributed", reason="needs Dask (requirements/grade.txt)")
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 0.3)
    with pytest.raises(InputError, match=f"no scheduler answers at {address}"):
        next(cluster.grade_on_cluster([], ORDER, address))


class LocalCluster:
    """A scheduler, which knows nothing of the grader, and workers, as processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, {}
        self.address = ""

    def start(self, name: str, module: str, *args: str, cwd: Path, **environment: str) -> None:
        log = open(self.folder / f"{name}.log", "wb")  # noqa: SIM115
        with log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *args, "--no-dashboard"],
                cwd=cwd,
                env={**ENVIRONMENT, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_scheduler(self) -> None:
        file = self.folder / "scheduler.json"
        args = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        self.start("scheduler", "dask_scheduler", *args, cwd=self.folder)
        for _ in range(600):
            if file.exists() and file.stat().st_size:
                break
            assert self.processes["scheduler"].poll() is None
            time.sleep(0.1)
        self.address = json.loads(file.read_text(encoding="utf-8"))["address"]

    def start_worker(self, name: str) -> None:
        # --no-nanny: the process that is killed is the one that grades, and none takes its place
        args = (self.address, "--name", name, "--nthreads", "1", "--no-nanny", "--host")
        local = ("127.0.0.1", "--local-directory", str(self.folder))
        self.start(
            name, "dask_worker", *args, *local, cwd=ROOT, PYTHONPATH=".", TMPDIR=str(self.folder)
        )

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.fixture
def local_cluster(tmp_path):
    pytest.importorskip("distributed", reason="needs Dask (requirements/grade.txt)")
    local = LocalCluster(tmp_path)
    try:
        local.start_scheduler()
        yield local
    finally:
        for name in list(local.processes):
            local.kill(name)


def write_submissions(folder: Path) -> dict[str, float]:
    """Zips and folders; returns the points of q_sample in each."""
    starter = {n: c for n, c in build(ROOT, tracked_files()).items() if n.startswith("code/")}
    right = (ROOT / "code" / "libs" / "ddpm.py").read_bytes()
    kinds = [("right", right, 1.0), ("starter", starter["code/libs/ddpm.py"], 0.0)]
    kinds += [("exits", b"import os\nos._exit(0)\n", 0.0)]
    expected = {}
    for number in range(9):
        kind, code, points = kinds[number % 3]
        name = f"team-{number:02} {kind}"
        for file, content in {**starter, "code/libs/ddpm.py": code}.items():
            (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / file).write_bytes(content)
        if number % 2:
            shutil.make_archive(str(folder / name), "zip", folder / name)
            shutil.rmtree(folder / name)
            name += ".zip"
        expected[name] = points
    return expected


@pytest.mark.slow
def test_a_worker_killed_midway_costs_no_submission_its_grade(local_cluster, tmp_path):
    """What a dead worker had begun is graded by another, and every grade is as it should be."""

    from distributed import Client

    expected = write_submissions(tmp_path / "zips")
    paths = [tmp_path / "zips" / name for name in sorted(expected)]
    for name in ("one", "two"):
        local_cluster.start_worker(name)
    with Client(local_cluster.address, set_as_default=False) as watcher:
        watcher.wait_for_workers(2, timeout=60)
        grades = cluster.grade_on_cluster(paths, ORDER, local_cluster.address)
        got = [next(grades)]
        names = {a: w["name"] for a, w in watcher.scheduler_info()["workers"].items()}
        busy = {names[a]: list(tasks) for a, tasks in watcher.processing().items() if tasks}
        victim = sorted(busy)[0]
        local_cluster.kill(victim)
        got += list(grades)
        assert len(names) == 2
        assert len(watcher.scheduler_info()["workers"]) == 1
    assert sorted(grade.submission for grade in got) == sorted(expected)
    points = {grade.submission: grade.part("q_sample").points for grade in got}
    assert points == expected
    for grade in got:
        path = tmp_path / "zips" / grade.submission
        facts, _ = opened(path, tmp_path / "again" / grade.submission)
        assert grade.sha256 == facts["sha256"]
        assert grade.seed == ORDER.seed
        assert not any("died" in why for why in grade.needs_look)
        if points[grade.submission]:
            assert {test.outcome for test in grade.part("q_sample").tests} == {PASSED}


@pytest.mark.slow
def test_a_cluster_that_goes_away_ends_in_a_sentence(local_cluster, tmp_path, monkeypatch):
    """Without workers or scheduler nothing waits forever, and the sentence says how to go on."""

    from distributed import Client

    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 2)
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 1)
    paths = [tmp_path / "zips" / name for name in sorted(write_submissions(tmp_path / "zips"))]
    with pytest.raises(InputError, match="has no workers"):
        next(cluster.grade_on_cluster(paths, ORDER, local_cluster.address))
    for lost, sentence in (("worker", "has no workers"), ("scheduler", "is gone; .* --resume")):
        local_cluster.start_worker("worker")
        with Client(local_cluster.address, set_as_default=False) as watcher:
            watcher.wait_for_workers(1, timeout=60)
        grades = cluster.grade_on_cluster(paths, ORDER, local_cluster.address)
        next(grades)
        local_cluster.kill(lost)
        with pytest.raises(InputError, match=sentence):
            list(grades)


@pytest.mark.slow
def test_a_worker_that_cannot_import_the_grader_ends_in_a_sentence(local_cluster, tmp_path):
    """A worker that was started in another folder is named as what it is."""
    paths = [tmp_path / "zips" / name for name in sorted(write_submissions(tmp_path / "zips"))]
    args = (local_cluster.address, "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1")
    local_cluster.start("lost", "dask_worker", *args, cwd=tmp_path, PYTHONPATH="")
    with pytest.raises(InputError, match=r"cannot run the grader \(No module named 'autograder'"):
        next(cluster.grade_on_cluster(paths, ORDER, local_cluster.address))

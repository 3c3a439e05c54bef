"""Proves that workers of the sandbox run honest submissions, and that failures are said.

Its protections are proved by real attempts, by subject, in test_sandbox_*.py.
"""

import tempfile
import threading

import pytest
from autograder.sandbox.limits import Limits, SandboxError
from autograder.sandbox.sandbox import Sandbox

from helpers.files import ROOT, SANDBOXED
from helpers.labs import SECONDS, Lab, ask, ended, linux_only, slow


@linux_only
def test_every_layer_that_the_system_offers_is_in_force_and_said(full, offered):
    """What the page of a grade calls protected is protected by a layer this system has, and no
    layer that it has is left out."""
    said = full.sandbox.protections
    assert ("Landlock (ABI" in said["files"]) == offered["landlock"]
    assert ("a file system of its own with nothing" in said["files"]) == offered["namespaces"]
    assert ("seccomp: no new ones" in said["processes"]) == offered["seccomp"]
    assert ("seccomp: no sockets" in said["network"]) == offered["seccomp"]
    assert said["processes"].startswith("a pid namespace") == offered["namespaces"]
    assert ("a namespace with nothing in it" in said["network"]) == offered["namespaces"]
    assert ("a uid of its own" in said["user"]) == offered["root"]


def test_a_worker_answers_and_ends_by_itself(full):
    """Arrays survive the way there and back, and how a worker ended can be asked again."""
    with full.worker() as worker:
        assert ask(worker, "result = [code_folder, np.arange(3)]")["result"][1].tolist() == [
            0,
            1,
            2,
        ]
        assert worker.end(SECONDS) == "exited with code 0"
        assert worker.end(SECONDS) == "exited with code 0"  # asked again, the same


def test_student_code_is_read_from_its_folder_and_scratch_is_writable(full, tmp_path):
    """Honest submissions import their own modules and write temporary files, which go to
    scratch."""
    (tmp_path / "module.py").write_text("value = 41 + 1")
    with full.worker(tmp_path) as worker:
        code = "import sys; sys.path.insert(0, code_folder); import module; result = module.value"
        assert ask(worker, code) == {"result": 42}
        code = "open('a.txt', 'w').write('x'); import os; os.mkdir('b'); result = os.listdir('.')"
        assert sorted(ask(worker, code)["result"]) == ["a.txt", "b"]
        code = "import tempfile; result = tempfile.mkdtemp() != '' and tempfile.gettempdir()"
        assert (
            ask(worker, code)["result"] == ask(worker, "import os; result = os.getcwd()")["result"]
        )


@pytest.mark.parametrize("only", [None, slow(("view",)), ("landlock", "user", "seccomp")])
def test_modules_can_be_imported_late(labs, only):
    """Code that imports within a function runs: the standard library stays readable."""
    lab = labs(*only) if only else labs(everything=True)
    for module in ("sqlite3", "decimal", "xml.etree.ElementTree", "numpy.fft", "multiprocessing"):
        assert lab.run(f"import {module}") == {"result": None}, module


def test_the_environment_holds_nothing_of_the_judge(full, monkeypatch):
    """Secrets in the judge's variables, and where its tests are, do not reach a submission."""
    monkeypatch.setenv("A_SECRET", "s3cret")
    with Sandbox("hostile_worker:serve", _preload=(), _helpers=(str(SANDBOXED),)) as sandbox:
        lab = Lab(sandbox, full.folder)
        assert "s3cret" not in str(lab.run("import os; result = dict(os.environ)")["result"])
        code = "import ctypes, sys; result = [sys.argv, sys.path]"
        assert str(ROOT / "autograder") not in str(lab.run(code)["result"])
        assert str(ROOT) not in lab.run(code)["result"][1]


def test_only_the_channel_is_open_beside_the_standard_three(full):
    """No worker inherits a handle of the judge or of another worker: files, sockets, pipes."""
    code = """
import fcntl
result = []
for handle in range(256):
    try:
        fcntl.fcntl(handle, fcntl.F_GETFD)
        result.append(handle)
    except OSError:
        pass
"""
    assert full.run(code) == {"result": [0, 1, 2, 3]}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os._exit(7)", "exited with code 7"),
        ("import sys; sys.exit(3)", "exited with code 3"),
        ("import ctypes; ctypes.string_at(0)", "crashed: segmentation fault"),
        ("import os; os.close(3)", "exited with code 0"),
    ],
)
def test_how_a_worker_ended_is_said_in_words(full, code, words):
    """Reports name the cause of an end, and exit codes are told from crashes."""
    with full.worker() as worker:
        assert ended(worker, code) == words


def test_aborting_is_a_crash(full):
    """abort() is not an orderly exit, whatever number its signal has here."""
    with full.worker() as worker:
        assert ended(worker, "import os; os.abort()").startswith("crashed: ")


def test_handlers_registered_for_the_exit_do_not_run(full):
    """Student code gets no say after its worker was told to end."""
    with full.worker() as worker:
        ask(worker, "import atexit; atexit.register(print, 'at exit')")
        worker.end(SECONDS)
    assert "at exit" not in full.log.read_text()


def test_what_is_printed_last_is_in_the_log(full, tmp_path):
    """Output right before the end is kept, of both streams and in order, over several workers."""
    log = tmp_path / "log"
    with open(log, "wb") as file:
        for words in ("one", "two"):
            worker = full.sandbox.worker(full.folder, file.fileno())
            ask(worker, f"import sys; print({words!r}); print('to stderr', file=sys.stderr)")
            worker.end(5)
    assert log.read_text() == "one\nto stderr\ntwo\nto stderr\n"


def test_workers_can_be_asked_for_by_many_threads_at_once(full):
    """Each thread gets its own worker's answer."""
    results: list[dict] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(full.run(f"result = {n}")))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["result"] for answer in results) == list(range(12))


def test_a_worker_outlives_the_thread_that_asked_for_the_sandbox(tmp_path):
    """A zygote bound to that thread instead of the process would end with it."""
    made = []

    def start() -> None:
        made.append(Sandbox("hostile_worker:serve", _preload=(), _helpers=(str(SANDBOXED),)))
        made.append(made[0].worker(tmp_path, tmp_path / "log"))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert ask(made[1], "result = 1") == {"result": 1}
    made[1].kill()
    made[0].close()


def test_a_worker_that_cannot_be_confined_is_an_error_with_its_reason(full, tmp_path, monkeypatch):
    """Nothing of a submission runs where a layer failed; the instructor reads why."""
    with pytest.raises(SandboxError, match=r"could not be confined: .*str"):
        full.sandbox.worker(tmp_path, tmp_path / "log", Limits(open_files="many"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(SandboxError, match=r"No such file or directory: .*/missing/"):
        full.sandbox.worker(tmp_path, tmp_path / "log")


def test_code_that_cannot_be_imported_is_an_error_with_its_reason(tmp_path):
    """A worker that cannot start is an error of the kit, not a grade of 0."""
    with (
        Sandbox("no_such_module:serve", _preload=()) as sandbox,
        pytest.raises(SandboxError, match="No module named 'no_such_module'"),
    ):
        sandbox.worker(tmp_path, tmp_path / "log")


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("without", [(), ("view",), ("landlock", "view", "namespaces", "user")])
def test_torch_and_its_relatives_work_inside(without, tmp_path):
    """Training, saving and loading run under all layers, or honest submissions would fail; GPUs are
    not seen."""
    helpers = (str(SANDBOXED),)
    training = """
import torch
torch.set_num_threads(2)
model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.GroupNorm(2, 8), torch.nn.Flatten())
loss = model(torch.randn(4, 3, 16, 16)).square().mean()
loss.backward()
torch.optim.AdamW(model.parameters()).step()
torch.save(model.state_dict(), 'weights.pth')
result = len(torch.load('weights.pth', weights_only=True))
"""
    with (
        Sandbox(
            "hostile_worker:serve", trusted=True, _without=without, _helpers=helpers
        ) as sandbox,
        Lab(sandbox, tmp_path).worker() as worker,
    ):
        for module in ("torch.fft", "scipy.stats", "torchvision.transforms", "torch.utils.data"):
            assert ask(worker, f"import {module}") == {"result": None}, module
        assert ask(worker, training) == {"result": 4}
        code = "import torch; result = torch.cuda.is_available()"
        assert ask(worker, code) == {"result": False}
        assert worker.end(5) == "exited with code 0"

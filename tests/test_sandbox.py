"""Proves each protection of the sandbox with real attempts from inside a worker.

Every layer is also tried without the others that cover for it: a hole in one must not hide behind
the rest. All attempts bound themselves, so that a hole fails a test and harms nobody.
"""

import contextlib
import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from autograder.sandbox.limits import Limits, SandboxError
from autograder.sandbox.sandbox import Sandbox, Worker
from autograder.sandbox.wire import Closed

from helpers.files import ROOT, SANDBOXED

LAYERS = ("view", "namespaces", "limits", "user", "landlock", "seccomp")
REFUSED = {errno.EPERM, errno.EACCES, errno.ENOENT, errno.EROFS, errno.ENETUNREACH}
SECONDS = 30.0  # for any answer; a worker that is stuck fails its test

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the layers are Linux's own")


def slow(value: object) -> object:
    """A parameter whose kind has an everyday test: for the long run alone."""
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.fixture(scope="module", autouse=True)
def own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Else what other sandboxes on this machine have there would count as left behind."""
    before, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("tmp"))
    yield
    tempfile.tempdir = before


class Lab:
    """A sandbox whose workers run any text."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        self.log = folder / "log.txt"

    @contextlib.contextmanager
    def worker(self, code_folder: Path | None = None, **limits: float) -> Iterator[Worker]:
        folder = code_folder or self.folder / "code"
        folder.mkdir(exist_ok=True)
        worker = self.sandbox.worker(folder, self.log, Limits(**limits))
        try:
            yield worker
        finally:
            worker.kill()

    def run(self, code: str, **limits: float) -> dict:
        """The answer of a fresh worker to one text."""
        with self.worker(**limits) as worker:
            return ask(worker, code)


def ask(worker: Worker, code: str) -> dict:
    worker.channel.send({"code": code})
    return worker.channel.receive(time.monotonic() + SECONDS)


def ended(worker: Worker, code: str) -> str:
    """How a worker ends that must not live to answer."""
    worker.channel.send({"code": code})
    with pytest.raises(Closed):
        worker.channel.receive(time.monotonic() + SECONDS)
    return worker.end(5)


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Lab]]:
    """Labs with only the layers named (all if none is), started once each, without torch."""
    started: dict[tuple[str, ...] | None, Lab] = {}
    with contextlib.ExitStack() as stack:

        def lab(*only: str, everything: bool = False) -> Lab:
            without = () if everything else tuple(name for name in LAYERS if name not in only)
            if without not in started:
                sandbox = Sandbox(
                    "hostile_worker:serve",
                    trusted=True,
                    _without=without,
                    _preload=(),
                    _helpers=(str(SANDBOXED),),
                )
                stack.enter_context(sandbox)
                started[without] = Lab(sandbox, tmp_path_factory.mktemp("lab"))
            return started[without]

        yield lab


@pytest.fixture
def full(labs: Callable[..., Lab]) -> Lab:
    return labs(everything=True)


@pytest.fixture
def offered() -> dict[str, bool]:
    """Which layers this system has, found out without the sandbox's code."""
    libc = ctypes.CDLL(None)
    namespaces = ["unshare", "--pid", "--net", "--ipc", "--mount", "--fork"]
    namespaces += [] if os.geteuid() == 0 else ["--map-root-user"]
    command = [*namespaces, "true"]
    return {
        "landlock": libc.syscall(444, None, ctypes.c_long(0), 1) > 0,
        "seccomp": libc.prctl(21, 0, 0, 0, 0) == 0,
        "namespaces": subprocess.run(command, capture_output=True, check=False).returncode == 0,
        "root": os.geteuid() == 0,
    }


def skip_without(offered: dict[str, bool], *layers: str) -> None:
    for layer in layers:
        if not offered[layer]:
            pytest.skip(f"this system offers no {layer}")


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be collected has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def scratch_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("autograder-*"))


# What works inside


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


# Files

FILES = [("view",), ("landlock",), ("landlock", "user", "seccomp"), None]


def file_lab(labs: Callable[..., Lab], only: tuple[str, ...] | None, offered: dict) -> Lab:
    skip_without(offered, "namespaces" if only == ("view",) else "landlock")
    if only == ("view",) and not offered["root"]:
        only = ("view", "namespaces")  # others than root need a user namespace for it
    return labs(*only) if only else labs(everything=True)


@linux_only
@pytest.mark.parametrize("only", FILES)
def test_nobody_elses_files_can_be_read(labs, only, offered, tmp_path):
    """The hidden tests, other submissions, logs, keys and the judge's memory stay out of reach, by
    each layer of files alone."""
    lab = file_lab(labs, only, offered)
    other = tmp_path / "other_submission"
    other.mkdir()
    (other / "ddpm.py").write_text("secret")
    paths = [
        ROOT / "pyproject.toml",
        ROOT / "autograder" / "sandbox" / "wire.py",
        other / "ddpm.py",
        lab.log,
        Path("/etc/passwd"),
        Path("/proc/1/environ"),
        Path("/proc/self/environ"),
        Path(f"/proc/{os.getpid()}/environ"),
        Path(f"/proc/{os.getpid()}/mem"),
    ]
    with lab.worker() as worker:
        for path in paths:
            answer = ask(worker, f"result = open({str(path)!r}, 'rb').read(1)")
            assert answer.get("number") in REFUSED, path
        for folder in (ROOT, Path.home(), other, Path("/proc"), Path(tempfile.gettempdir())):
            answer = ask(worker, f"import os; result = os.listdir({str(folder)!r})")
            # Where the file system is the worker's own, a folder on the way to its code exists,
            # and holds just that way.
            names = set(answer.get("result", []))
            assert answer.get("number") in REFUSED or names < set(os.listdir(folder)), folder
            assert not names & {"pyproject.toml", "autograder", "ddpm.py", "1", ".bashrc"}, folder


@linux_only
@pytest.mark.parametrize("only", FILES)
def test_nothing_can_be_written_outside_the_scratch_folder(labs, only, offered, tmp_path):
    """Neither new files nor changes to the submission itself are left anywhere, by each layer
    alone."""
    lab = file_lab(labs, only, offered)
    (lab.folder / "code").mkdir(exist_ok=True)
    mine = lab.folder / "code" / "mine.py"
    mine.write_text("value = 1")
    tmp_path.chmod(0o777)
    targets = [
        tmp_path / "new",
        mine,
        lab.folder / "code" / "new.py",
        ROOT / "new",
        Path("/autograder-test"),
        Path("/dev/shm/autograder-test"),
        Path("/var/tmp/autograder-test"),
        Path(tempfile.gettempdir()) / "autograder-test",
        Path(sys.prefix) / "lib" / "autograder-test",
    ]
    with lab.worker() as worker:
        for path in targets:
            answer = ask(worker, f"open({str(path)!r}, 'w').write('x')")
            assert answer.get("number") in REFUSED, path
            assert path == mine or not path.exists()
        name = str(mine)
        for code in (
            f"os.remove({name!r})",
            f"os.rename({name!r}, 'taken')",
            f"os.link({name!r}, 'taken')",
            f"os.truncate({name!r}, 0)",
            f"os.mkdir({str(tmp_path / 'folder')!r})",
            f"os.symlink('x', {str(tmp_path / 'link')!r})",
        ):
            assert ask(worker, "import os; " + code).get("number") in REFUSED | {errno.EXDEV}, code
    assert mine.read_text() == "value = 1"
    assert list(tmp_path.iterdir()) == []


def test_folders_of_packages_under_development_are_not_shown(monkeypatch):
    """An editable install puts its own folder on the path: that may be the repository."""
    from autograder.sandbox import confine

    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT), str(ROOT / "code"), "/home"])
    shown = confine.readable_paths("/submission")
    assert "/submission" in shown
    assert not {str(ROOT), str(ROOT / "code"), "/home", "/", str(Path.home())} & set(shown)


def test_a_repository_or_submission_that_cannot_be_hidden_is_said_and_is_a_hole():
    """A kit below a folder that workers must see, such as /usr, is not hidden: grading refuses
    or says so."""

    from autograder.sandbox import confine, holes

    for root, private, hidden in (
        ("/usr/local/kit", (), False),
        ("/srv/kit", ("/home/grades", "/usr/share/submissions"), False),
        ("/srv/kit", ("/home/grades",), True),
    ):
        record = confine.Record(layers={holes.VIEW, holes.LANDLOCK, holes.FILTER})
        plan = confine.Plan("/submission", "/scratch", root, Limits(), private=private)
        confine.note_places(plan, ["/usr", "/srv/kit/.venv/lib"], record)
        assert ("hiding" not in str(record.words())) == hidden
        assert ("read" not in holes.found(record.layers)) == hidden
        assert bool(holes.refusal(record.layers, [])) != hidden


@linux_only
def test_the_mode_and_owner_of_files_cannot_be_changed_by_the_filter_alone(labs, offered, tmp_path):
    """Landlock does not cover chmod, chown, times and attributes: the filter must."""
    skip_without(offered, "seccomp")
    (tmp_path / "file").write_text("x")
    with labs("seccomp").worker() as worker:
        for call in (
            "os.chmod(p, 0)",
            "os.chown(p, 5, 5)",
            "os.utime(p)",
            "os.setxattr(p, 'user.a', b'')",
        ):
            code = f"import os; p = {str(tmp_path / 'file')!r}; {call}"
            assert ask(worker, code).get("number") == errno.EPERM, call


# Network


@pytest.fixture
def server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@linux_only
@pytest.mark.parametrize("only", [("seccomp",), ("namespaces",), ("landlock",), None])
def test_a_server_on_this_machine_is_out_of_reach(labs, only, offered, server):
    """No submission talks to anybody over the network, by each layer of it alone."""
    skip_without(offered, only[0] if only else "seccomp")
    lab = labs(*only) if only else labs(everything=True)
    code = f"import socket; socket.create_connection(('127.0.0.1', {server}), 2)"
    assert lab.run(code).get("number") in REFUSED


def test_the_server_of_these_tests_is_within_reach_without_the_layers(labs, server):
    """Else the test above would prove nothing."""
    code = f"import socket; socket.create_connection(('127.0.0.1', {server}), 2)"
    assert labs("limits").run(code) == {"result": None}


@linux_only
def test_no_socket_of_any_kind_by_the_filter_alone(labs, offered):
    """Kinds without an address, such as netlink and packets, are refused too, and pairs."""
    skip_without(offered, "seccomp")
    with labs("seccomp").worker() as worker:
        for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 16, 17, 38):
            code = f"import socket; socket.socket({int(family)}, socket.SOCK_DGRAM)"
            assert ask(worker, code).get("number") == errno.EPERM
        assert ask(worker, "import socket; socket.socketpair()").get("number") == errno.EPERM


# Processes


@linux_only
@pytest.mark.parametrize("only", [("seccomp",), None])
def test_no_new_process_and_no_new_program(labs, only, offered):
    """Neither fork, vfork nor exec gets through in any form, while threads, which torch needs,
    start."""
    skip_without(offered, "seccomp")
    lab = labs(*only) if only else labs(everything=True)
    with lab.worker() as worker:
        for code in (
            "import os; os.fork() or os._exit(0)",
            "import os; os.execv('/bin/true', ['true'])",
            "import subprocess; subprocess.run(['/bin/true'])",
            "import os; os.posix_spawn('/bin/true', ['true'], {})",
            "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True)\n"
            "if libc.vfork() < 0: raise OSError(ctypes.get_errno(), '')",
        ):
            assert ask(worker, code).get("number") == errno.EPERM, code
        code = """
import threading
threads = [threading.Thread(target=int) for _ in range(20)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
result = len(threads)
"""
        assert ask(worker, code) == {"result": 20}  # threads can


@linux_only
@pytest.mark.parametrize("only", [("seccomp",), ("landlock",), ("namespaces",), None])
def test_no_other_process_can_be_signalled(labs, only, offered):
    """The judge, the zygote and other users' processes survive a submission that kills all it
    can."""
    skip_without(offered, only[0] if only else "seccomp")
    lab = labs(*only) if only else labs(everything=True)
    with subprocess.Popen(["sleep", "60"]) as other, lab.worker() as worker:
        try:
            zygote = lab.sandbox._zygote.process.pid
            for pid in (other.pid, os.getpid(), zygote):
                answer = ask(worker, f"import os; os.kill({pid}, 18)")  # SIGCONT: harmless
                assert answer.get("number") in {errno.EPERM, errno.ESRCH}, pid
            ask(worker, "import os, signal; signal.signal(15, signal.SIG_IGN); os.kill(-1, 15)")
            ask(worker, "import os; os.getppid() and os.kill(os.getppid(), 9)")
            assert ask(worker, "result = 1") == {"result": 1}
            assert other.poll() is None
        finally:
            other.kill()


@linux_only
def test_the_filter_refuses_what_could_break_out(labs, offered):
    """Calls that read other processes, mount, load code into the kernel or change the process are
    refused, by number and by other numbering."""
    skip_without(offered, "seccomp")
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers below are those of x86_64")
    calls = {
        "ptrace": 101, "process_vm_readv": 310, "unshare": 272, "setns": 308, "mount": 165,
        "chroot": 161, "keyctl": 250, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
        "io_uring_setup": 425, "open_by_handle_at": 304, "memfd_create": 319, "shmget": 29,
        "pidfd_open": 434, "personality": 135, "sendmsg": 46, "mq_open": 240,
    }  # fmt: skip
    code = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
result = [libc.syscall(%d, 0, 0, 0, 0, 0) and ctypes.get_errno()]
result.append(libc.prctl(1, 0) and ctypes.get_errno())
"""
    with labs("seccomp").worker() as worker:
        for name, number in calls.items():
            assert ask(worker, code % number) == {"result": [errno.EPERM] * 2}, name
        # x32 has the same calls under other numbers; none of them may exist.
        assert ask(worker, code % (0x40000000 + 41))["result"][0] == errno.ENOSYS


@pytest.mark.parametrize(
    ("machine", "architecture"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)]
)
def test_the_filter_decides_the_same_on_both_processors(machine, architecture):
    """Run by an interpreter of the kernel's filter language, so that it needs neither processor."""
    pytest.importorskip("resource")
    from autograder.sandbox import seccomp

    code = seccomp.program(machine, own_pid=77)
    column = ["x86_64", "aarch64"].index(machine)

    def decide(name: str, *arguments: int, architecture: int = architecture) -> int:
        number = {**seccomp.DENIED, **seccomp.OTHERS, "read": (0, 63)}[name][column]
        words = {16 + 8 * at: (arguments + (0,) * 6)[at] for at in range(6)}
        return run_filter(code, {0: number, 4: architecture, **words})

    allow, eperm, enosys = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
    assert decide("read") == allow
    assert decide("read", architecture=0x40000003) == 0x80000000  # 32 bits: killed
    assert decide("socket") == decide("execve") == decide("vhangup") == eperm
    assert decide("clone3") == enosys
    for newer in (468, 0x40000000, 0x40000000 + 41):  # of later kernels, and x32's
        assert run_filter(code, {0: newer, 4: architecture, 16: 0}) == enosys
    assert decide("clone", 0x3D0F00) == allow  # as glibc starts a thread
    assert decide("clone", 0x1200011) == eperm  # as glibc forks
    assert [decide("kill", pid) for pid in (77, 1, 0, 2**32 - 1)] == [allow, eperm, eperm, eperm]
    assert [decide("tgkill", pid) for pid in (77, 78)] == [allow, eperm]
    for name in ("prlimit64", "sched_setaffinity"):
        assert [decide(name, pid) for pid in (0, 77, 1)] == [allow, allow, eperm]
    assert decide("clone", 0x3D0F00 | 0x40000000) == eperm  # a thread in another network
    assert decide("openat2") == enosys  # flags that cannot be seen
    commands = {1: allow, 4: allow, 6: allow, 1030: allow}  # GETFD, SETFL, SETLK, DUPFD_CLOEXEC
    commands |= dict.fromkeys((8, 10, 15, 1024, 1026), eperm)  # SETOWN SETSIG SETOWN_EX SETLEASE
    assert {command: decide("fcntl", 5, command) for command in commands} == commands
    commands = {0x5401: allow, 0x541B: allow, 0x5421: allow}  # TCGETS, FIONREAD, FIONBIO
    commands |= dict.fromkeys((0x8901, 0x8902, 0x5412, 0x5452, 0x40086602), eperm)
    assert {command: decide("ioctl", 5, command) for command in commands} == commands
    options = {3: allow, 39: allow, 17: eperm, 77: eperm}  # TYPE, DOMAIN, PEERCRED, PEERPIDFD
    assert {option: decide("getsockopt", 3, 1, option) for option in options} == options
    flags = {0o2000000: allow, 0o1101: allow, 0o1002: allow, 0o1000: eperm, 3: eperm, 0o1003: eperm}
    assert {flag: decide("openat", 0, 0, flag) for flag in flags} == flags
    assert [decide("prctl", option) for option in (15, 0x53564D41, 1, 4)] == [allow] * 2 + [
        eperm
    ] * 2


def run_filter(code: bytes, data: dict[int, int]) -> int:
    """What a filter answers; `data` holds the words of struct seccomp_data by their offset."""
    at = accumulator = 0
    while True:
        kind = int.from_bytes(code[at : at + 2], sys.byteorder)
        yes, no = code[at + 2], code[at + 3]
        value = int.from_bytes(code[at + 4 : at + 8], sys.byteorder)
        at += 8
        if kind == 0x20:
            accumulator = data[value]
        elif kind == 0x54:
            accumulator &= value
        elif kind in (0x15, 0x25):
            at += 8 * (
                yes if (accumulator == value if kind == 0x15 else accumulator > value) else no
            )
        else:
            assert kind == 0x06
            return value


@linux_only
def test_root_is_dropped_for_good(full, offered):
    """A worker that was started by root has a user of its own, no groups, and no way back."""
    skip_without(offered, "root", "landlock")
    code = "import os; result = [os.getresuid(), os.getresgid(), os.getgroups()]"
    (real, effective, saved), groups, others = full.run(code)["result"]
    assert real == effective == saved >= 2_000_000_000
    assert 0 not in groups
    assert others == []
    for call in ("setuid(0)", "setgid(0)", "setgroups([0])", "chroot('.')", "nice(-5)"):
        assert full.run(f"import os; os.{call}").get("number") == errno.EPERM, call
    with full.worker() as one, full.worker() as two:
        code = "import os; result = os.getuid()"
        assert ask(one, code) != ask(two, code)  # or one could use up the processes of the other


@pytest.fixture
def public() -> Iterator[Path]:
    """An empty folder that every user can reach; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@linux_only
def test_another_user_alone_keeps_roots_files_and_processes_safe(offered, public):
    """Where a container gives root but neither Landlock nor namespaces nor filters."""
    skip_without(offered, "root")
    (public / "code").mkdir(mode=0o700)
    (public / "code" / "ddpm.py").write_text("mine")
    (public / "code" / "private.py").write_text("mine")
    (public / "code" / "private.py").chmod(0o600)
    (public / "scratch").mkdir(mode=0o700)
    public.chmod(0o755)
    (public / "of_root").write_text("x")
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from autograder.sandbox import confine
# Python itself may lie where only root may go: here, all is imported already.
confine.readable_paths = lambda folder: ["/usr", folder]
plan = confine.Plan({str(public / "code")!r}, {str(public / "scratch")!r}, {str(ROOT)!r},
                    confine.Limits(), without=("view", "namespaces", "landlock", "seccomp"))
os.setgroups([4, 27])  # as those of an administrator
print(confine.confine(plan).words()["user"], os.getgroups())
print(open(plan.code_folder + "/ddpm.py").read(), open(plan.code_folder + "/private.py").read())
open("own", "w").close()
for attempt in (lambda: open({str(public / "of_root")!r}, "w"), lambda: os.kill(os.getppid(), 0),
                lambda: os.listdir({str(public / "code")!r}), lambda: os.setuid(0)):
    try:
        attempt()
        print("went well")
    except PermissionError:
        print("refused")
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert run.stdout.splitlines() == ["a uid of its own []", "mine mine", *["refused"] * 4], (
        run.stderr
    )


@linux_only
def test_a_submission_is_not_copied_into_itself(offered, tmp_path):
    """A scratch folder below the submission does not make its copy grow without end."""
    skip_without(offered, "root")
    from autograder.sandbox import user

    (tmp_path / "temporary" / "scratch").mkdir(parents=True)
    (tmp_path / "ddpm.py").write_text("mine")
    copy = user.own_copy(str(tmp_path), str(tmp_path / "temporary" / "scratch"), 0)
    assert sorted(path.name for path in Path(copy).rglob("*")) == ["ddpm.py", "temporary"]


@linux_only
def test_grandchildren_end_with_the_worker_even_without_the_filter(labs):
    """Two forks and a new session leave every group and parent, but not the supervisor."""
    code = """
import os, signal, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(write, b"x")
        time.sleep(60)
    os._exit(0)
os.wait()
os.read(read, 1)
"""
    for only in (("limits",), ("namespaces",)):
        with labs(*only).worker() as worker:
            assert ask(worker, code) == {"result": None}
            below = children(supervisor_of(worker))
            assert len(below) >= 2, only
            assert worker.kill() == "stopped by the judge"
            assert all(map(gone, below)), only


def supervisor_of(worker: Worker) -> int:
    return int(Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[1])


def children(pid: int) -> list[int]:
    """All that descend from a process, by what every process says of its parent."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
    found = [pid]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found[1:]


@linux_only
@pytest.mark.parametrize(
    "only", [("limits",), slow(("namespaces",)), slow(("limits", "view", "landlock", "user"))]
)
def test_a_fork_bomb_is_stopped_without_the_filter(labs, only):
    """Killing a worker ends all that it forked, however fast it forks."""
    code = """
import os, time
end = time.monotonic() + 20
for _ in range(7):  # at most 128 processes
    try:
        os.fork()
    except OSError:
        pass
while time.monotonic() < end:
    pass
"""
    with labs(*only).worker(processes=40) as worker:
        below = supervisor_of(worker)
        worker.channel.send({"code": code})
        time.sleep(0.5)
        worker.kill()
        assert children(below) == []


# Limits


@linux_only
def test_processes_and_their_memory_are_counted_together(labs):
    """Limits hold for a worker with its children, so that forking buys neither time nor memory."""
    code = """
import os, time
for _ in range({processes}):
    if os.fork() == 0:
        kept = np.ones((60 << 20,), "uint8") if {memory} else None
        time.sleep(20)
        os._exit(0)
time.sleep(20)
"""
    with labs("namespaces").worker(processes=40) as worker:
        words = ended(worker, code.format(processes=45, memory=False))
        assert words == "stopped: more than 40 processes and threads"
    with labs("namespaces").worker(memory_mb=300) as worker:
        words = ended(worker, code.format(processes=6, memory=True))
        assert words == "stopped: more than 300 MB of memory"


@linux_only
def test_too_many_threads_are_refused_or_end_the_worker(labs, offered):
    """Threads count as processes do: the system refuses them, or the supervisor ends the worker."""
    code = """
import threading
done = threading.Event()
try:
    for _ in range(150):
        threading.Thread(target=done.wait, daemon=True).start()
finally:
    done.wait(5)
"""
    with labs("limits").worker(processes=60) as worker:
        assert ended(worker, code) == "stopped: more than 60 processes and threads"
    skip_without(offered, "root", "landlock", "seccomp")
    with labs(everything=True).worker(processes=60) as worker:
        answer = ask(worker, code.replace("done.wait(5)", "done.set()"))
        assert answer.get("error") == "RuntimeError"  # can't start new thread


@pytest.mark.slow
@linux_only
def test_memory_is_limited_by_the_system_and_by_the_supervisor(labs):
    """At once, piece by piece or shared: no way of taking memory takes the machine's."""
    at_once = "result = len(np.ones((4 << 30,), 'uint8'))"
    piecewise = "kept = [np.ones((16 << 20,), 'uint8') for _ in range(256)]; result = len(kept)"
    with labs("limits").worker(memory_mb=500) as worker:
        assert ask(worker, at_once)["error"] in ("MemoryError", "_ArrayMemoryError")
        assert ask(worker, "result = 1") == {"result": 1}
    with labs("namespaces").worker(memory_mb=500) as worker:  # only the supervisor
        assert ended(worker, piecewise) == "stopped: more than 500 MB of memory"
    shared = """
import mmap
memory = mmap.mmap(-1, 1 << 30)
for at in range(0, 1 << 30, 16 << 20):
    memory[at : at + (16 << 20)] = bytes(16 << 20)
"""
    with labs("limits").worker(memory_mb=500) as worker:  # the system counts private memory only
        assert ended(worker, shared) == "stopped: more than 500 MB of memory"


def ask_or_end(worker: Worker, code: str) -> str:
    try:
        return ask(worker, code).get("error", "went well")
    except Closed:
        return worker.end(5)


@linux_only
@pytest.mark.parametrize("only", [slow(("limits",)), None])
def test_the_disk_cannot_be_filled(labs, only):
    """One big file, many files and many empty ones all end at their limit, and scratch is
    removed."""
    one = "open('big', 'wb').write(bytes(50 << 20))"
    many = """
for number in range(20):
    with open(str(number), 'wb') as file:
        file.write(bytes(10 << 20))
import time
time.sleep(5)
"""
    lab = labs(*only) if only else labs(everything=True)
    with lab.worker() as worker:
        assert ask(worker, one).get("number") == errno.EFBIG
    with lab.worker() as worker:
        assert ask_or_end(worker, many) in ("OSError", "stopped: more than 64 MB of files")
    with lab.worker() as worker:
        code = "for n in range(4300): open(str(n), 'w').close()\nimport time; time.sleep(5)"
        assert ask_or_end(worker, code) in ("OSError", "stopped: more than 4096 files")
    assert not scratch_folders()


@linux_only
@pytest.mark.parametrize(
    "hide",
    [
        "os.unlink(name)",
        # Not through Python's mmap, which keeps the file open.
        "libc.mmap(None, 10 << 20, 1, 1, file.fileno(), 0); file.close(); os.unlink(name)",
        "os.mkdir(deep) or os.chdir(deep)",
    ],
)
def test_files_cannot_hide_from_the_count(labs, hide):
    """Removed but held open, removed but mapped, or too deep for a name."""
    code = f"""
import ctypes, os, time
files, deep, libc = [], "d" * 250, ctypes.CDLL(None)
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
for number in range(20):
    name = str(number)
    file = open(name, "wb+")
    file.write(bytes(10 << 20))
    file.flush()
    files.append(file)
    {hide}
time.sleep(5)
"""
    with labs("limits").worker() as worker:
        words = ended(worker, code)
    assert words in (
        "stopped: more than 64 MB of files",
        "stopped: a folder too deep or closed to look into",
    )


@pytest.mark.slow
@linux_only
def test_a_folder_too_deep_for_names_is_removed(tmp_path):
    """Made and removed in a child, whose current folder ends up without a name."""
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from autograder.sandbox.scratch import excess, remove_folder
os.chdir({str(tmp_path)!r})
os.mkdir("top")
os.chdir("top")
for _ in range(600):
    os.mkdir("a_folder")
    os.chdir("a_folder")
open("file", "w").close()
assert excess({str(tmp_path / "top")!r}, 1, os.getpid()) == (
    "a folder too deep or closed to look into"
)
sys.setrecursionlimit(200)
remove_folder({str(tmp_path / "top")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert list(tmp_path.iterdir()) == []


def test_much_output_is_cut_and_the_worker_goes_on(full):
    """Printing without end fills no disk, and whoever prints much is still graded."""
    full.log.unlink(missing_ok=True)
    code = """
import os
block = b'x' * (1 << 20)
for _ in range(200):
    os.write(1, block)
print('the end')
"""
    with full.worker(log_kb=64) as worker:
        assert ask(worker, code) == {"result": None}
        worker.end(5)
    text = full.log.read_text()
    assert text.endswith("[more was printed than is kept]\n")
    assert 64 << 10 < len(text) < 65 << 10


def test_what_is_printed_last_is_in_the_log(full, tmp_path):
    """Output right before the end is kept, of both streams and in order, over several workers."""
    log = tmp_path / "log"
    with open(log, "wb") as file:
        for words in ("one", "two"):
            worker = full.sandbox.worker(full.folder, file.fileno())
            ask(worker, f"import sys; print({words!r}); print('to stderr', file=sys.stderr)")
            worker.end(5)
    assert log.read_text() == "one\nto stderr\ntwo\nto stderr\n"


def test_more_handles_than_allowed_are_refused(full):
    """A submission that never closes its files gets an error of its own."""
    code = "kept = [open('/dev/null') for _ in range(400)]"
    assert full.run(code).get("number") == errno.EMFILE


@pytest.mark.parametrize("only", [slow(("limits",)), None])
def test_a_busy_loop_that_ignores_signals_is_stopped_by_the_clock(labs, only):
    """Time is limited for code that handles every signal, by its own limit and by the judge."""
    code = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
"""
    lab = labs(*only) if only else labs(everything=True)
    with lab.worker(seconds=0.5) as worker:
        assert ended(worker, code) == "stopped: more than 0.5 s"
    with lab.worker() as worker:
        worker.channel.send({"code": code})
        assert worker.end(0.1) == "stopped by the judge"


@pytest.mark.slow
def test_processor_time_is_limited(labs):
    """The system's own limit holds where its warning signal is ignored."""
    with labs("limits").worker(cpu_seconds=1) as worker:
        words = ended(worker, "import signal; signal.signal(24, signal.SIG_IGN)\nwhile True: pass")
        assert words == "stopped: more than 1 s of processor time"


# Ends and beginnings

JUDGE = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from autograder.sandbox.sandbox import Sandbox
sandbox = Sandbox("hostile_worker:serve", trusted=True, _without={without!r}, _preload=(),
                  _helpers=({tests!r},))
workers = [sandbox.worker(Path({folder!r}), Path({folder!r}) / "log") for _ in range(2)]
for worker in workers:
    worker.channel.send({{"code": "import signal, time\\nsignal.signal(15, signal.SIG_IGN)\\n"
                                  "open('x', 'w').close()\\nwhile True: pass"}})
holder = os.fork()  # holds copies of all sockets
if holder == 0:
    time.sleep(90)
    os._exit(0)
print(holder, *[worker.pid for worker in workers], sandbox._zygote.process.pid, flush=True)
time.sleep(60)
"""


@linux_only
@pytest.mark.parametrize("without", [(), slow(("view", "namespaces", "seccomp"))])
def test_nothing_is_left_when_the_judge_is_killed(without, tmp_path):
    """Ctrl-C, a crash or a lost terminal leave no student's process and no folder behind."""
    code = JUDGE.format(
        root=str(ROOT), tests=str(SANDBOXED), folder=str(tmp_path / "code"), without=without
    )
    (tmp_path / "code").mkdir()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as judge:
        holder, *pids = [int(word) for word in judge.stdout.readline().split()]
        assert len(pids) == 3
        supervisors = children(pids[-1])
        assert len(supervisors) >= 4  # and the workers themselves
        assert list(temporary.iterdir())
        judge.kill()
        try:
            assert soon(lambda: all(map(gone, pids + supervisors)))
            assert soon(lambda: not list(temporary.iterdir()))
        finally:
            os.kill(holder, signal.SIGKILL)


@linux_only
def test_a_killed_zygote_leaves_its_workers_to_the_judge_and_is_replaced(tmp_path):
    """One killed process does not end the grading of a whole class."""
    helpers = (str(SANDBOXED),)
    with Sandbox("hostile_worker:serve", _preload=(), _helpers=helpers) as sandbox:
        lab = Lab(sandbox, tmp_path)
        with lab.worker() as before:
            first = sandbox._zygote.process.pid
            os.kill(first, signal.SIGKILL)
            assert ask(before, "result = 1") == {"result": 1}
            assert lab.run("result = 2") == {"result": 2}
            assert sandbox._zygote.process.pid != first
            assert before.end(5) == "exited with code 0"
    assert not scratch_folders()


@linux_only
def test_a_killed_supervisor_takes_its_worker_along(labs):
    """No worker runs without somebody who counts its time and memory."""
    for only in (("limits",), ("namespaces", "limits")):
        with labs(*only).worker() as worker:
            worker.channel.send({"code": "while True: pass"})
            pid = worker.pid
            os.kill(supervisor_of(worker), signal.SIGKILL)
            assert worker.end(5) == "ended without a report"
            assert soon(lambda pid=pid: gone(pid)), only
    assert soon(lambda: not scratch_folders())


@pytest.mark.slow
@linux_only
def test_many_workers_leave_no_process_handle_or_folder(full):
    """Grading hundreds of submissions in one process does not run out of anything."""
    with full.worker():
        pass
    handles = len(os.listdir("/proc/self/fd"))
    zygote = full.sandbox._zygote.process.pid
    zygote_handles = len(os.listdir(f"/proc/{zygote}/fd"))
    for number in range(100):
        with full.worker() as worker:
            if number % 10 == 0:
                ask(worker, "open('file', 'w').write('x')")
            worker.end(SECONDS if number % 2 else 0)
    assert soon(lambda: children(zygote) == [])
    assert len(os.listdir("/proc/self/fd")) == handles
    assert len(os.listdir(f"/proc/{zygote}/fd")) == zygote_handles
    assert not scratch_folders()


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


# With torch


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

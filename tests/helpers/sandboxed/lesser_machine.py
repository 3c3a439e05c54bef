"""Runs the attacks of attacks.py in a worker, on this machine as if it lacked layers.

python lesser_machine.py JSON [COMMAND ...], as root; see `Machine`. Prints what `report` returns,
or runs the command there instead. What is taken away is taken from this process alone, in a mount
namespace of its own.
"""

import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[3]
KIT = os.environ.get("CLOSED_KIT", str(ROOT))  # where the grader is imported from
sys.path[:0] = [KIT, str(Path(__file__).parent)]

import attacks  # noqa: E402
from autograder.sandbox import holes, kernel  # noqa: E402
from autograder.sandbox.limits import SandboxError  # noqa: E402
from autograder.sandbox.sandbox import Sandbox, Worker  # noqa: E402
from autograder.sandbox.wire import Closed  # noqa: E402

SECONDS = 60.0  # for any answer
SHARED_KEY = 0x5EED_0000 | os.getpid() << 1 & 0xFFFF
SHMGET, SHMCTL, IPC_RMID = 29, 31, 0

ORDINARY = 54_321  # a user id
# CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT
# MKNOD AUDIT_WRITE SETFCAP
DOCKER = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31]
NEW_NAMESPACES = 0x7E020000
# Layer: calls that a machine without it refuses.
CALLS = {
    "namespaces": (errno.EPERM, {"unshare": 272, "setns": 308, "mount": 165}),
    "landlock": (errno.ENOSYS, {"create": 444, "add": 445, "restrict": 446}),
}


@dataclass
class Machine:
    """What there is."""

    folder: str  # an empty one that all users can reach, for what the attacks aim at
    user: str = "ordinary"  # or "root"
    capabilities: str = "all"  # root's: "all", "docker" or "none"
    without: tuple[str, ...] = ()  # "namespaces", "landlock", "seccomp"
    landlock: int = 99
    python_open: bool = True  # whether all users can read Python
    private_open: bool = True  # whether all users can read the tests and other submissions


def become(machine: Machine, command: list[str]) -> NoReturn:
    """Take from this process what the machine lacks, and run a command there."""
    if machine.python_open:
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount(None, "/", None, 16384 | 1 << 18)
        open_to_all([sys.base_prefix, sys.prefix, str(ROOT)])
    lay_out(machine)
    if machine.user == "root":
        keep = {"all": range(64), "docker": DOCKER, "none": []}[machine.capabilities]
        for capability in set(range(64)) - set(keep):
            try:
                kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
            except OSError:
                break
        if machine.capabilities != "all":
            kernel.set_capabilities(sum(1 << capability for capability in keep))
    refuse_calls(machine.without)
    if machine.user == "ordinary":
        os.setgroups([])
        os.setresgid(ORDINARY, ORDINARY, ORDINARY)
        os.setresuid(ORDINARY, ORDINARY, ORDINARY)
    environment = {**os.environ, "TMPDIR": f"{machine.folder}/tmp", "HOME": machine.folder}
    if not machine.private_open:
        environment["CLOSED_KIT"] = f"{machine.folder}/kit"
    os.execve(command[0], command, environment)


def open_to_all(paths: list[str]) -> None:
    """Show these folders, under their own names, to users who may not enter what is above them."""
    needed: dict[str, list[str]] = {}
    folders = {Path(path).resolve() for path in paths}
    for real in sorted(folders):
        if not folders.isdisjoint(real.parents):
            continue  # it is shown with the folder around it
        for above in reversed(real.parents):
            if not above.stat().st_mode & 1:
                needed.setdefault(str(above), []).append(str(real))
                break
    for above, inside in needed.items():
        handles = [(path, os.open(path, os.O_PATH)) for path in inside]
        kernel.mount("tmpfs", above, "tmpfs", 0, "mode=755")
        for path, handle in handles:
            os.makedirs(path)
            kernel.mount(f"/proc/self/fd/{handle}", path, None, 4096 | 16384)


def lay_out(machine: Machine) -> None:
    """Make the files that attacks aim at."""
    top = Path(machine.folder)
    for name, mode in (("tmp", 0o1777), ("everybody", 0o1777), ("code", 0o755), ("private", 0o755)):
        (top / name).mkdir()
        (top / name).chmod(mode)
    (top / "private" / "secret").write_text("secret")
    for name in ("own", "other", "third"):
        (top / "code" / name).write_text("long enough")
    if not machine.private_open:
        (top / "private").chmod(0o700)
        shutil.copytree(ROOT / "autograder" / "sandbox", top / "kit" / "autograder" / "sandbox")
        (top / "kit").chmod(0o700)
    if machine.user == "ordinary":
        for path in (top, *top.rglob("*")):
            os.chown(path, ORDINARY, ORDINARY)


def refuse_calls(layers: tuple[str, ...]) -> None:
    """Put a filter on this process that answers as a kernel without these layers does."""

    def line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, value)

    load, equal, any_of, answer = 0x20, 0x15, 0x45, 0x06
    lines = [line(load, 0)]
    for layer in layers:
        number, calls = CALLS.get(layer, (0, {}))
        for call in calls.values():
            lines += [line(equal, call, 0, 1), line(answer, 0x50000 | number)]
    if "namespaces" in layers:
        lines += [line(equal, 435, 0, 1), line(answer, 0x50000 | errno.ENOSYS)]  # clone3
        lines += [
            line(equal, 56, 0, 4),  # clone
            line(load, 16),
            line(any_of, NEW_NAMESPACES, 0, 1),
            line(answer, 0x50000 | errno.EPERM),
            line(answer, 0x7FFF0000),
        ]
    if "seccomp" in layers:
        lines += [
            line(equal, 317, 0, 1),
            line(answer, 0x50000 | errno.ENOSYS),
            line(equal, 157, 0, 5),  # prctl
            line(load, 16),
            line(equal, 21, 1, 0),  # PR_GET_SECCOMP
            line(equal, 22, 0, 1),  # PR_SET_SECCOMP
            line(answer, 0x50000 | errno.EINVAL),
            line(answer, 0x7FFF0000),
        ]
    code = b"".join([*lines, line(answer, 0x7FFF0000)])

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]

    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(22, 2, ctypes.byref(Program(len(code) // 8, code)))


class Victim:
    """A process of the judge's user that notes the signals it gets."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            numbers = [*range(signal.SIGRTMIN, signal.SIGRTMAX + 1), signal.SIGIO]
            signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
            os.write(self.write, b"\0")
            while True:
                os.write(self.write, bytes([signal.sigwait(numbers)]))
        os.read(self.read, 1)

    def heard(self) -> list[int]:
        """The signals since the beginning; the last, of the highest number, is our own."""
        os.kill(self.pid, signal.SIGRTMAX)
        found: list[int] = []
        while signal.SIGRTMAX not in found:
            found += os.read(self.read, 100)
        return found[:-1]

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def report(machine: Machine) -> dict:
    """What the sandbox says here, and what a submission can do.

    Returns:
        refusal: why nothing is run without --trust, or ""
        hole: the sentence on what is not protected
        said: the names of the holes in it
        worked: those through which attacks worked, with the attacks
        user: what it says of the worker's user
    """
    settings = {
        "private": (f"{machine.folder}/private",),
        "_landlock": machine.landlock,
        "_preload": (),
        "_helpers": (str(Path(__file__).parent),),
    }
    code, log = Path(machine.folder, "code"), Path(machine.folder, "tmp", "log")
    refusal = ""
    with Sandbox("hostile_worker:serve", **settings) as careful:
        try:
            careful.worker(code, log).kill()
        except SandboxError as error:
            refusal = str(error)
    with Sandbox("hostile_worker:serve", trusted=True, **settings) as sandbox:
        worker = sandbox.worker(code, log)
        worked = attack(worker, machine)
        for name in ("calls_as_32_bits", "calls_as_x32"):
            again = sandbox.worker(code, log)
            if answer(again, f"import attacks; result = attacks.{name}()") is True:
                worked.setdefault("kernel", []).append(name)
            again.kill()
        return {
            "refusal": refusal,
            "hole": sandbox.hole,
            "said": holes.found(worker.layers),
            "worked": worked,
            "user": sandbox.protections["user"],
        }


def answer(worker: Worker, code: str) -> object:
    """What a worker answers; None where it is gone."""
    try:
        worker.channel.send({"code": code})
        message = worker.channel.receive(time.monotonic() + SECONDS)
    except Closed:
        return None
    assert "result" in message, message
    return message["result"]


def attack(worker: Worker, machine: Machine) -> dict[str, list[str]]:
    """Have a worker try everything; what shows only outside is added."""
    victim = Victim()
    service, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    path = f"{machine.folder}/tmp/service"
    service.bind(path)
    abstract.bind("\0" + path)
    for listening in (service, abstract):
        listening.listen()
    with contextlib.suppress(OSError):  # what a process of this number left that was killed
        remove_shared(kernel.syscall(SHMGET, SHARED_KEY + 1, 0, 0))
    shared = kernel.syscall(SHMGET, SHARED_KEY, 4096, 0o1600)
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            udp.bind(("127.0.0.1", 0))
            targets = {
                "secret": f"{machine.folder}/private/secret",
                "folder": f"{machine.folder}/private",
                "everybody": f"{machine.folder}/everybody",
                **{name: f"{machine.folder}/code/{name}" for name in ("own", "other", "third")},
                "victim": victim.pid,
                "service": path,
                "tcp": tcp.getsockname()[1],
                "udp": udp.getsockname()[1],
                "shared": SHARED_KEY,
                "left": SHARED_KEY + 1,
                "user": os.getuid(),
            }
            worked = answer(worker, f"import attacks; result = attacks.run({targets!r})")
            answer(worker, "result = 1")  # this message may have a signal sent, too
            assert isinstance(worked, dict)
            with contextlib.suppress(OSError):
                remove_shared(kernel.syscall(SHMGET, SHARED_KEY + 1, 0, 0))
                worked.setdefault("shared", []).append("leaves_memory")
            names = {attacks.BY_OWNER: "owner", attacks.BY_OWNER_EX: "owner_ex"}
            names |= {attacks.BY_SOCKET: "socket"}
            for number in victim.heard():
                worked.setdefault("signal", []).append(f"signals_by_{names[number]}")
        return worked
    finally:
        remove_shared(shared)
        victim.end()
        worker.kill()
        service.close()
        abstract.close()


def remove_shared(number: int) -> None:
    kernel.syscall(SHMCTL, number, IPC_RMID, None)


if __name__ == "__main__":
    if sys.argv[1] == "--there":
        print(json.dumps(report(Machine(**json.loads(sys.argv[2])))))
    else:
        again = [sys.executable, "-B", __file__, "--there", sys.argv[1]]
        become(Machine(**json.loads(sys.argv[1])), sys.argv[2:] or again)

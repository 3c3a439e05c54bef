"""Confines a worker, before it sees student code, with every layer that the system allows.

The layers overlap on purpose. A layer that the system refuses is left out, and recorded as missing.
"""

import contextlib
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field

from autograder.sandbox import holes
from autograder.sandbox.limits import Limits

LINUX = sys.platform == "linux"
if LINUX:
    from autograder.sandbox import kernel, landlock, seccomp, user, view

MB = 1 << 20
MEMORY_SLACK_MB = 1024  # address space that a program reserves but never uses
DEVICES = ["/dev/null", "/dev/zero"]
SYSTEM = ["/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/localtime"]
# What torch and glibc read about the processors, and a source of random bytes.
HARDWARE = ["/sys/devices/system/cpu", "/proc/cpuinfo", "/dev/urandom", "/dev/random"]


@dataclass
class Plan:
    """How a worker is to be confined."""

    code_folder: str
    scratch: str  # this worker's folder, used if it cannot have its own file system
    root: str  # the repository, which no worker may see
    limits: Limits
    private: tuple[str, ...] = ()  # other folders with submissions or grades
    without: tuple[str, ...] = ()  # layers left out, only by tests
    landlock: int = 99  # the newest version of Landlock to use; only tests set it
    isolation: str = ""  # how the pid namespace was made: "root", "user", or "" for none


@dataclass
class Record:
    """The protections in force and those missing, by subject."""

    in_force: dict[str, list[str]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    layers: set[str] = field(default_factory=set)  # the names of holes.py
    open_paths: list[str] = field(default_factory=list)  # that others may read, and should not

    def add(self, subject: str, words: str) -> None:
        self.in_force.setdefault(subject, []).append(words)

    def lacks(self, subject: str, words: str) -> None:
        self.missing.setdefault(subject, []).append(words)

    def attempt(self, layer: str, subjects: dict[str, str], action: Callable[[], object]) -> bool:
        """Try a layer; record it, and for each subject what it protects or why it is missing."""
        try:
            action()
        except OSError as error:
            for subject in subjects:
                self.lacks(subject, f"{layer} ({error.strerror or error})")
            return False
        self.layers.add(layer)
        for subject, words in subjects.items():
            self.add(subject, words)
        return True

    def words(self) -> dict[str, str]:
        """One text per subject, such as "Landlock (ABI 7)"."""
        subjects = dict.fromkeys([*self.in_force, *self.missing])
        return {subject: self._subject(subject) for subject in subjects}

    def _subject(self, subject: str) -> str:
        there = ", ".join(self.in_force.get(subject, []))
        missing = ", ".join(self.missing.get(subject, []))
        return "; ".join(filter(None, [there, missing and f"not available here: {missing}"]))


def readable_paths(code_folder: str) -> list[str]:
    """What student code may read: Python, its packages, the system's libraries, its own files."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    # Not the prefix itself, which may be a home folder.
    parts = [f"{p}/{name}" for p in sorted(prefixes) for name in ("bin", "lib", "lib64", "share")]
    # Only these: packages under development may have added their own folders to sys.path.
    packages = [p for p in sys.path if p.endswith(("/site-packages", "/dist-packages"))]
    return [*SYSTEM, *HARDWARE, *parts, *packages, code_folder]


def confine(plan: Plan) -> Record:
    """Confine this process for good, and change to an empty scratch folder.

    Returns:
        The protections in force, and those missing.
    """
    record = Record()
    os.setsid()
    os.umask(0o022)
    if LINUX:
        scratch = _confine_on_linux(plan, record)
    else:
        scratch = plan.scratch
        set_limits(plan.limits, 0, record, count_processes=False)
        for subject in ("files", "network", "processes", "limits"):
            record.lacks(subject, "all protections that exist only on Linux")
    record.add("limits", "a supervisor that looks every 50 ms")
    os.chdir(scratch)
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    tempfile.tempdir = None  # it may be cached from before the environment changed
    return record


def _confine_on_linux(plan: Plan, record: Record) -> str:
    """Apply every layer, in the only order in which none prevents the next."""
    readable, scratch = readable_paths(plan.code_folder), plan.scratch
    data_mb = private_mb() + plan.limits.memory_mb + MEMORY_SLACK_MB
    note_places(plan, readable, record)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # if memory runs out, the kernel kills this process first
    may_change = "user" not in plan.without and user.can_change()
    new_uid = user.choose_uid() if may_change else None
    note_permissions(plan, record)
    if "namespaces" not in plan.without:
        leave_namespaces(plan, record)
    if "view" not in plan.without:
        owner = os.geteuid() if new_uid is None else new_uid
        if record.attempt(
            holes.VIEW,
            {"files": "a file system of its own with nothing else in it"},
            lambda: view.enter(readable, DEVICES, plan.limits.disk_mb, owner),
        ):
            scratch = view.SCRATCH
    if "limits" not in plan.without:
        counted = new_uid is not None or plan.isolation == "user"
        set_limits(plan.limits, data_mb, record, counted)
    become_harmless(plan, readable, scratch, new_uid, record)
    return scratch


def leave_namespaces(plan: Plan, record: Record) -> None:
    """A network without any address, and its own shared memory and queues."""
    if plan.isolation:  # made by the supervisor, since a pid namespace begins with a fork
        record.add("processes", holes.PID_NAMESPACE)
        record.layers.add(holes.PID_NAMESPACE)
    else:
        record.lacks("processes", holes.PID_NAMESPACE)
    if plan.isolation == "user":
        record.layers.add(holes.USER_NAMESPACE)
    record.attempt(
        holes.NETWORK_NAMESPACE,
        {"network": "a namespace with nothing in it"},
        lambda: kernel.unshare(kernel.CLONE_NEWNET),
    )
    record.attempt(
        holes.IPC_NAMESPACE,
        {"processes": holes.IPC_NAMESPACE},
        lambda: kernel.unshare(kernel.CLONE_NEWIPC),
    )


def set_limits(limits: Limits, data_mb: int, record: Record, count_processes: bool) -> None:
    """Set the limits that the system enforces; `data_mb` of private memory, 0 for no limit."""
    wanted: dict[str, tuple[int, tuple[int, int]]] = {
        "core files": (resource.RLIMIT_CORE, (0, 0)),
        "processor time": (resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1)),
        "file size": (resource.RLIMIT_FSIZE, (limits.file_mb * MB,) * 2),
        "open files": (resource.RLIMIT_NOFILE, (limits.open_files,) * 2),
    }
    if data_mb:
        wanted["private memory"] = (resource.RLIMIT_DATA, (data_mb * MB,) * 2)
    if count_processes:  # otherwise every process of the same user would count
        wanted["processes"] = (resource.RLIMIT_NPROC, (limits.processes,) * 2)
    for name, (number, pair) in wanted.items():
        hard = resource.getrlimit(number)[1]
        # Existing limits that are tighter stay.
        if hard != resource.RLIM_INFINITY:
            pair = min(pair[0], hard), min(pair[1], hard)
        try:
            resource.setrlimit(number, pair)
        except (OSError, ValueError) as error:
            record.lacks("limits", f"{name} ({error})")
        else:
            record.add("limits", name)
            if name == "private memory":
                record.layers.add(holes.MEMORY_LIMIT)


def become_harmless(
    plan: Plan, readable: list[str], scratch: str, new_uid: int | None, record: Record
) -> None:
    """Apply Landlock, the change of user without capabilities, and the filter of system calls."""
    files_closed = "files" in record.in_force
    if "landlock" not in plan.without:
        files_closed |= enter_landlock(plan, readable, scratch, record)
    if not files_closed:
        record.add("files", "only the permission bits of the system")
    filtered = "seccomp" not in plan.without and seccomp.available()
    change_user(plan, readable, scratch, new_uid, files_closed and filtered, record)
    # After the change of user, which would clear it. The worker ends with its supervisor.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, 9)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if "seccomp" not in plan.without:
        given = {"processes": "seccomp: no new ones", "network": "seccomp: no sockets"}
        if not record.attempt(holes.FILTER, given, lambda: seccomp.restrict(os.getpid())):
            kernel.set_capabilities(0)


def enter_landlock(plan: Plan, readable: list[str], scratch: str, record: Record) -> bool:
    """Use the newest Landlock available; returns whether it worked."""
    abi = min(landlock.version(), plan.landlock)
    words = {"files": f"Landlock (ABI {abi})"}
    if abi >= 4:
        words["network"] = "Landlock: no TCP"
    if abi >= 6:
        words["processes"] = "Landlock: no signals to others"
    entered = record.attempt(
        holes.LANDLOCK, words, lambda: landlock.restrict(abi, readable, DEVICES, scratch)
    )
    if entered and abi >= 6:
        record.layers.add(holes.LANDLOCK_SIGNALS)
    return entered


def note_permissions(plan: Plan, record: Record) -> None:
    """Record which tests and grades permissions alone would not keep from another user."""
    closed = [path for path in (f"{plan.root}/autograder", f"{plan.root}/code", *plan.private)]
    record.open_paths = [p for p in closed if os.path.exists(p) and user.open_to_others(p)]


def change_user(
    plan: Plan,
    readable: list[str],
    scratch: str,
    new_uid: int | None,
    safe_to_read: bool,
    record: Record,
) -> None:
    """Drop every capability, and become another user if this is root.

    If Python is in a folder that others may not enter, reading must stay possible, since student
    code imports modules late. If other layers limit which files exist, the worker keeps the one
    capability that reads them; otherwise it stays root, without capabilities.
    """
    kernel.drop_bounding_set()
    if new_uid is None:
        record.add("user", give_up_capabilities())
        return
    closed = [p for p in readable if os.path.exists(p) and not user.open_to_others(p)]
    if plan.code_folder in closed and not safe_to_read:
        closed.remove(plan.code_folder)
        plan.code_folder = user.own_copy(plan.code_folder, scratch, new_uid)
    right = user.right_to_read() if closed and safe_to_read else 0
    if closed and not right:
        os.chown(scratch, os.geteuid(), os.getegid())
        record.add("user", give_up_capabilities())
        record.lacks("user", f"another user, who could not read {closed[0]}")
        return
    os.chown(scratch, new_uid, new_uid)
    user.become(new_uid, right)
    record.add("user", "a uid of its own")
    record.layers.add(holes.USER)
    if closed:
        record.add("user", f"with the right to read {closed[0]}")
    elif not record.open_paths:
        record.layers.add(holes.PERMISSIONS)


def give_up_capabilities() -> str:
    """Drop every capability, but stay the same user; returns the words for the record."""
    kernel.set_capabilities(0)
    who = "root" if os.geteuid() == 0 else "the judge's own"
    return f"{who}, without capabilities"


def private_mb() -> int:
    """The private memory in MB that the kernel counts for this process; 0 if unknown."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmData"):
                return int(line.split()[1]) >> 10
    return 0


def note_places(plan: Plan, readable: list[str], record: Record) -> None:
    """Record whether the repository, a submission or a grade is inside what a worker may read."""
    for hidden in map(os.path.realpath, (plan.root, *plan.private)):
        for path in readable:
            if os.path.commonpath([hidden, os.path.realpath(path)]) == os.path.realpath(path):
                record.lacks("files", f"hiding {hidden}, which is in {path}")
                return
    record.layers.add(holes.APART)

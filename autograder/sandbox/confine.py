"""What a worker does to itself before it meets student code: every layer the system allows.

The layers overlap on purpose. If the system refuses one, it is left out, and the record says so.
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
MEMORY_SLACK_MB = 1024  # address space that a program asks for and never touches
DEVICES = ["/dev/null", "/dev/zero"]
SYSTEM = ["/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/localtime"]
# What torch and glibc ask about the processors, and a source of random bytes.
HARDWARE = ["/sys/devices/system/cpu", "/proc/cpuinfo", "/dev/urandom", "/dev/random"]


@dataclass
class Plan:
    """How a worker is to be confined."""

    code_folder: str
    scratch: str  # a folder for this worker, used where it cannot have its own file system
    root: str  # the repository, which no worker may see
    limits: Limits
    private: tuple[str, ...] = ()  # what else holds other submissions or grades
    without: tuple[str, ...] = ()  # layers left out: only tests do that
    landlock: int = 99  # the newest version of Landlock to use: only tests set it
    isolation: str = ""  # how the pid namespace was made: "root", "user", or "" for none


@dataclass
class Record:
    """What is in force and what is missing, by subject."""

    in_force: dict[str, list[str]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    layers: set[str] = field(default_factory=set)  # as holes.py names them
    open_paths: list[str] = field(default_factory=list)  # that permissions should close

    def add(self, subject: str, words: str) -> None:
        self.in_force.setdefault(subject, []).append(words)

    def lacks(self, subject: str, words: str) -> None:
        self.missing.setdefault(subject, []).append(words)

    def attempt(self, layer: str, subjects: dict[str, str], action: Callable[[], object]) -> bool:
        """Try a layer; notes it, and for each subject what it gives, or why it is missing."""
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
    # Not the prefix itself: it may be a home folder.
    parts = [f"{p}/{name}" for p in sorted(prefixes) for name in ("bin", "lib", "lib64", "share")]
    # Only these: a package under development may have put its own folder there.
    packages = [p for p in sys.path if p.endswith(("/site-packages", "/dist-packages"))]
    return [*SYSTEM, *HARDWARE, *parts, *packages, code_folder]


def confine(plan: Plan) -> Record:
    """Confine this process for good, and move it into an empty scratch folder.

    Returns:
        What is in force, and what is missing.
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
            record.lacks(subject, "all protections that only Linux has")
    record.add("limits", "a supervisor that looks every 50 ms")
    os.chdir(scratch)
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    tempfile.tempdir = None  # it may have been asked for before the environment changed
    return record


def _confine_on_linux(plan: Plan, record: Record) -> str:
    """Every layer, in the one order in which none prevents the next."""
    readable, scratch = readable_paths(plan.code_folder), plan.scratch
    data_mb = private_mb() + plan.limits.memory_mb + MEMORY_SLACK_MB
    note_places(plan, readable, record)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory runs out, this one goes first
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
    if plan.isolation:  # made by the supervisor, for a pid namespace begins with a fork
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
    """The limits that the system itself keeps; `data_mb` of private memory, 0 for no limit."""
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
        # A limit that is tighter already stays.
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
    """Landlock, another user without capabilities, and the filter of system calls."""
    files_closed = "files" in record.in_force
    if "landlock" not in plan.without:
        files_closed |= enter_landlock(plan, readable, scratch, record)
    if not files_closed:
        record.add("files", "only the permission bits of the system")
    filtered = "seccomp" not in plan.without and seccomp.available()
    change_user(plan, readable, scratch, new_uid, files_closed and filtered, record)
    # After the change of user, which would clear it. The supervisor's end is the worker's.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, 9)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if "seccomp" not in plan.without:
        given = {"processes": "seccomp: no new ones", "network": "seccomp: no sockets"}
        if not record.attempt(holes.FILTER, given, lambda: seccomp.restrict(os.getpid())):
            kernel.set_capabilities(0)


def enter_landlock(plan: Plan, readable: list[str], scratch: str, record: Record) -> bool:
    """Use the newest Landlock there is; returns whether there is any."""
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
    """Note whether permissions alone would keep another user from the tests and the grades."""
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
    """Drop every capability, and root.

    Where Python is in a folder that others may not enter, reading must stay possible: student
    code imports modules late. With other layers in force that say which files there are, the
    worker keeps the one capability that reads them; without, it stays root without capabilities.
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
    """Drop every capability, and stay the same user; returns the words for it."""
    kernel.set_capabilities(0)
    who = "root" if os.geteuid() == 0 else "the judge's own"
    return f"{who}, without capabilities"


def private_mb() -> int:
    """The private memory this process already has by the kernel's count; 0 where unknown."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmData"):
                return int(line.split()[1]) >> 10
    return 0


def note_places(plan: Plan, readable: list[str], record: Record) -> None:
    """Note where the repository, a submission or a grade is inside what a worker may read."""
    for hidden in map(os.path.realpath, (plan.root, *plan.private)):
        for path in readable:
            if os.path.commonpath([hidden, os.path.realpath(path)]) == os.path.realpath(path):
                record.lacks("files", f"hiding {hidden}, which is in {path}")
                return
    record.layers.add(holes.APART)

"""Attempts of a submission to get out of the sandbox, each by itself harmless; run in a worker.

An attack is named after what it tries, and belongs to the hole of autograder/sandbox/holes.py that
it shows to be open. It returns whether it worked, or raises the OSError that it was refused with.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import signal
import socket
import threading
from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
CHANNEL = 3
F_SETOWN_EX, F_SETSIG, F_SETLEASE, F_NOTIFY = 15, 10, 1024, 1026
SIOCSPGRP, FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, NODUMP = 0x8902, 0x80086601, 0x40086602, 0x40
O_ASYNC = 0o20000
# One for each way in which the kernel can be made to signal a process.
BY_OWNER, BY_OWNER_EX = signal.SIGRTMIN + 1, signal.SIGRTMIN + 2
BY_SOCKET = signal.SIGIO
# Numbers of x86_64, of calls without a function in Python or C.
NUMBERS = {
    "shmget": 29, "ptrace": 101, "setpriority": 141,
    "tkill": 200, "sched_setaffinity": 203, "tgkill": 234, "mq_open": 240, "keyctl": 250,
    "ioprio_set": 251, "migrate_pages": 256, "unshare": 272, "get_robust_list": 274,
    "move_pages": 279, "inotify_init1": 294, "inotify_add_watch": 254, "perf_event_open": 298,
    "prlimit64": 302, "process_vm_readv": 310, "kcmp": 312, "memfd_create": 319, "bpf": 321,
    "userfaultfd": 323, "io_uring_setup": 425, "pidfd_send_signal": 424, "pidfd_open": 434,
    "openat2": 437, "pidfd_getfd": 438, "process_madvise": 440,
}  # fmt: skip
ATTACKS: dict[str, tuple[str, Callable[[dict], object]]] = {}


def run(targets: dict) -> dict[str, list[str]]:
    """Try them all; returns the holes through which something worked, each with the attacks."""
    worked: dict[str, list[str]] = {}
    for name, (hole, attempt) in ATTACKS.items():
        try:
            done = attempt(targets)
        except OSError:
            continue
        if done is not False:
            worked.setdefault(hole, []).append(name)
    return worked


def attack(hole: str) -> Callable:
    def add(attempt: Callable[[dict], object]) -> Callable[[dict], object]:
        ATTACKS[attempt.__name__] = hole, attempt
        return attempt

    return add


def call(name: str, *arguments: object) -> int:
    """A system call by its number; raises OSError."""
    longs = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = LIBC.syscall(ctypes.c_long(NUMBERS[name]), *longs)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def reached(name: str, *arguments: object) -> bool:
    """Whether a call got as far as to look at its arguments, which name nothing."""
    try:
        call(name, *arguments)
    except OSError as error:
        return error.errno in (errno.EFAULT, errno.EINVAL, errno.EBADF, errno.EAGAIN)
    return True


# Files


@attack("read")
def reads_a_secret(to: dict) -> object:
    return open(to["secret"]).read() == "secret"


@attack("read")
def reads_by_openat2(to: dict) -> object:
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
    name = os.fsencode(to["secret"])
    handle = call("openat2", -100, name, ctypes.byref(how), ctypes.sizeof(how))
    return os.read(handle, 6) == b"secret"


@attack("read")
def lists_a_folder(to: dict) -> object:
    return os.path.basename(to["secret"]) in os.listdir(to["folder"])


@attack("write")
def writes_over_a_file(to: dict) -> object:
    os.close(os.open(to["secret"], os.O_RDWR))


@attack("write")
def appends_to_a_file(to: dict) -> object:
    os.close(os.open(to["secret"], os.O_WRONLY | os.O_APPEND))


@attack("write")
def makes_a_file(to: dict) -> object:
    os.close(os.open(f"{to['folder']}/made", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    os.remove(f"{to['folder']}/made")


@attack("write")
def makes_a_link(to: dict) -> object:
    os.symlink("nowhere", f"{to['folder']}/link")
    os.remove(f"{to['folder']}/link")


@attack("write")
def renames_a_file(to: dict) -> object:
    os.rename(to["secret"], to["secret"] + "_")
    os.rename(to["secret"] + "_", to["secret"])


@attack("leave")
def leaves_a_file_for_others(to: dict) -> object:
    os.close(os.open(f"{to['everybody']}/left", os.O_WRONLY | os.O_CREAT))
    os.remove(f"{to['everybody']}/left")


@attack("alter")
def empties_a_file_it_may_read(to: dict) -> object:
    before = os.stat(to["own"]).st_size
    os.close(os.open(to["own"], os.O_RDONLY | os.O_TRUNC))
    return os.stat(to["own"]).st_size < before


@attack("alter")
def empties_a_file_in_no_mode(to: dict) -> object:
    before = os.stat(to["other"]).st_size
    os.close(os.open(to["other"], 3 | os.O_TRUNC))
    return os.stat(to["other"]).st_size < before


@attack("alter")
def truncates_a_file_it_may_read(to: dict) -> object:
    os.truncate(to["third"], 1)


@attack("alter")
def changes_a_mode(to: dict) -> object:
    os.chmod(to["own"], 0o644)


@attack("alter")
def changes_times(to: dict) -> object:
    os.utime(to["own"])


@attack("alter")
def sets_an_attribute(to: dict) -> object:
    os.setxattr(to["own"], "user.attack", b"x")


@attack("alter")
def sets_a_flag(to: dict) -> object:
    handle = os.open(to["own"], os.O_RDONLY)
    flags = ctypes.c_int(0)
    fcntl.ioctl(handle, FS_IOC_GETFLAGS, flags)
    flags.value |= NODUMP
    fcntl.ioctl(handle, FS_IOC_SETFLAGS, flags)


@attack("watch")
def watches_a_folder(to: dict) -> object:
    call("inotify_add_watch", call("inotify_init1", 0), os.fsencode(to["folder"]), 2)


@attack("watch")
def is_told_of_a_folder(to: dict) -> object:
    fcntl.fcntl(os.open(to["folder"], os.O_RDONLY), F_NOTIFY, 2)


@attack("kernel")
def takes_a_lease(to: dict) -> object:
    fcntl.fcntl(os.open(to["own"], os.O_RDONLY), F_SETLEASE, fcntl.F_RDLCK)


# The memory of others


@attack("memory")
def opens_memory(to: dict) -> object:
    os.close(os.open(f"/proc/{to['victim']}/mem", os.O_RDWR))


@attack("memory")
def reads_an_environment(to: dict) -> object:
    return open(f"/proc/{to['victim']}/environ", "rb").read(1) != b""


@attack("memory")
def reads_memory_by_a_call(to: dict) -> object:
    both = (ctypes.c_uint64 * 2)(ctypes.addressof(ctypes.create_string_buffer(8)), 8)
    away = (ctypes.c_uint64 * 2)(1, 8)
    return reached("process_vm_readv", to["victim"], both, 1, away, 1, 0)


@attack("memory")
def traces(to: dict) -> object:
    """PTRACE_SEIZE, which ends with the thread that did it."""
    done: list[bool] = []
    thread = threading.Thread(
        target=lambda: done.append(reached("ptrace", 0x4206, to["victim"], 0, 0))
    )
    thread.start()
    thread.join()
    return done[0]


@attack("memory")
def compares_kernel_objects(to: dict) -> object:
    call("kcmp", to["victim"], to["victim"], 1, 0, 0)


@attack("memory")
def finds_locks(to: dict) -> object:
    call("get_robust_list", to["victim"], *(ctypes.byref(ctypes.c_uint64()) for _ in "12"))


@attack("memory")
def moves_pages(to: dict) -> object:
    page, at = (ctypes.c_uint64 * 1)(4096), (ctypes.c_int * 1)(0)
    call("move_pages", to["victim"], 1, page, None, at, 0)


@attack("memory")
def takes_a_handle(to: dict) -> object:
    call("pidfd_getfd", call("pidfd_open", to["victim"], 0), 0, 0)


@attack("memory")
def advises_on_memory(to: dict) -> object:
    both = (ctypes.c_uint64 * 2)(4096, 4096)
    process = call("pidfd_open", to["victim"], 0)
    try:
        call("process_madvise", process, both, 1, 20, 0)  # MADV_COLD
    except OSError as error:
        return error.errno == errno.ENOMEM  # allowed, but nothing is there
    return True


# Signals to others


@attack("signal")
def kills(to: dict) -> object:
    os.kill(to["victim"], 0)


@attack("signal")
def kills_a_thread(to: dict) -> object:
    call("tgkill", to["victim"], to["victim"], 0)


@attack("signal")
def kills_any_thread(to: dict) -> object:
    call("tkill", to["victim"], 0)


@attack("signal")
def kills_by_handle(to: dict) -> object:
    call("pidfd_send_signal", call("pidfd_open", to["victim"], 0), 0, None, 0)


@attack("signal")
def kills_its_peer(to: dict) -> object:
    with socket.socket(fileno=os.dup(CHANNEL)) as channel:
        handle = channel.getsockopt(socket.SOL_SOCKET, 77)  # SO_PEERPIDFD
    call("pidfd_send_signal", handle, 0, None, 0)


def have_signalled(number: int, own: Callable[[int], object]) -> bool:
    """Have the kernel signal the owner of a pipe; whether it did shows with the victim."""
    read, write = os.pipe()
    fcntl.fcntl(read, F_SETSIG, number)
    own(read)
    fcntl.fcntl(read, fcntl.F_SETFL, O_ASYNC)
    os.write(write, b"x")
    return False


@attack("signal")
def signals_by_owner(to: dict) -> object:
    return have_signalled(BY_OWNER, lambda pipe: fcntl.fcntl(pipe, fcntl.F_SETOWN, to["victim"]))


@attack("signal")
def signals_by_owner_ex(to: dict) -> object:
    owner = (ctypes.c_int * 2)(1, to["victim"])  # F_OWNER_PID
    return have_signalled(BY_OWNER_EX, lambda pipe: fcntl.fcntl(pipe, F_SETOWN_EX, bytes(owner)))


@attack("signal")
def signals_by_socket(to: dict) -> object:
    """The judge's next message would have it sent."""
    fcntl.ioctl(CHANNEL, SIOCSPGRP, ctypes.c_int(to["victim"]))
    fcntl.fcntl(CHANNEL, fcntl.F_SETFL, fcntl.fcntl(CHANNEL, fcntl.F_GETFL) | O_ASYNC)
    return False


# The pace of others


@attack("slow")
def binds_to_a_processor(to: dict) -> object:
    os.sched_setaffinity(to["victim"], os.sched_getaffinity(to["victim"]))


@attack("slow")
def lowers_priority(to: dict) -> object:
    call("setpriority", 0, to["victim"], 1)


@attack("slow")
def lowers_priority_for_disks(to: dict) -> object:
    call("ioprio_set", 1, to["victim"], 2 << 13 | 7)


@attack("slow")
def schedules_as_idle(to: dict) -> object:
    os.sched_setscheduler(to["victim"], os.SCHED_BATCH, os.sched_param(0))


@attack("slow")
def limits_another(to: dict) -> object:
    call("prlimit64", to["victim"], 4, (ctypes.c_uint64 * 2)(0, 0), None)  # core files


@attack("slow")
def migrates_memory(to: dict) -> object:
    nodes = (ctypes.c_uint64 * 1)(1)
    call("migrate_pages", to["victim"], 64, nodes, nodes)


# Network and services


@attack("network")
def connects_by_tcp(to: dict) -> object:
    socket.create_connection(("127.0.0.1", to["tcp"]), 5).close()


@attack("network")
def sends_by_udp(to: dict) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", to["udp"]))


@attack("services")
def asks_a_service(to: dict) -> object:
    with socket.socket(socket.AF_UNIX) as service:
        service.connect(to["service"])


@attack("services")
def asks_an_abstract_service(to: dict) -> object:
    if to["user"] != os.getuid():
        return False  # such a service knows whom it speaks to
    with socket.socket(socket.AF_UNIX) as service:
        service.connect("\0" + to["service"])


# Shared memory


@attack("shared")
def leaves_memory(to: dict) -> object:
    """Whether others find it shows outside."""
    call("shmget", to["left"], 4096, 0o1600)
    return False


@attack("shared")
def reaches_shared_memory(to: dict) -> object:
    call("shmget", to["shared"], 0, 0)


# Programs and the kernel


@attack("kernel")
def forks(to: dict) -> object:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


@attack("kernel")
def starts_a_program(to: dict) -> object:
    os.waitpid(os.posix_spawn("/usr/bin/true", ["true"], {}), 0)


@attack("kernel")
def runs_from_memory(to: dict) -> object:
    os.close(call("memfd_create", b"x", 0))


@attack("kernel")
def makes_a_namespace(to: dict) -> object:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if reached("unshare", 0x10000000) else 1)
    return os.waitpid(pid, 0)[1] == 0


@attack("kernel")
def loads_a_filter(to: dict) -> object:
    return reached("bpf", 0, None, 0)


@attack("kernel")
def counts_events(to: dict) -> object:
    return reached("perf_event_open", None, 0, -1, -1, 0)


@attack("kernel")
def handles_page_faults(to: dict) -> object:
    os.close(call("userfaultfd", 1))


@attack("kernel")
def makes_a_ring(to: dict) -> object:
    os.close(call("io_uring_setup", 1, (ctypes.c_uint8 * 120)()))


@attack("kernel")
def opens_a_keyring(to: dict) -> object:
    call("keyctl", 0, -3, 0)


@attack("kernel")
def opens_a_queue(to: dict) -> object:
    return reached("mq_open", None, os.O_RDWR, 0, None)


def calls_as_32_bits() -> bool:
    """getpid by int 0x80, whose numbers are others; a filter that knows it ends the process."""
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
    memory = mmap.mmap(-1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid()


def calls_as_x32() -> bool:
    """getpid by its number in the x32 set."""
    return LIBC.syscall(ctypes.c_long(0x40000000 + 39)) == os.getpid()

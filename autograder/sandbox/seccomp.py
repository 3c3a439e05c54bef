"""A filter on the system calls of a worker, written as a program for the kernel (seccomp BPF).

Harmless calls are allowed. Calls that start processes, use the network, touch other processes or
change the system fail with EPERM. Calls newer than this file fail with ENOSYS, as if they did not
exist.
"""

import ctypes
import errno
import struct

from autograder.sandbox import kernel

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NEWEST = 467  # the highest number this file knows about
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, EQUAL, GREATER, AND, RETURN = 0x20, 0x15, 0x25, 0x54, 0x06
NUMBER, ARCHITECTURE, ARGUMENT = 0, 4, 16  # offsets in seccomp_data; arguments take 8 bytes each
CLONE_THREAD, CLONE_NEW = 0x10000, 0x7E020000  # the latter: all flags that make a namespace
ACCESS_MODE, O_TRUNC = 3, 0x200
# They name a thread or memory, or read a thread's state, as glibc and torch do.
HARMLESS_PRCTL = {3: "GET_DUMPABLE", 15: "SET_NAME", 16: "GET_NAME", 0x53564D41: "SET_VMA"}
# Without those that make the kernel send signals (SETOWN, SETSIG, NOTIFY) or keep others from
# opening a file (SETLEASE).
HARMLESS_FCNTL = {
    0: "DUPFD", 1: "GETFD", 2: "SETFD", 3: "GETFL", 4: "SETFL", 5: "GETLK", 6: "SETLK",
    7: "SETLKW", 9: "GETOWN", 36: "OFD_GETLK", 37: "OFD_SETLK", 38: "OFD_SETLKW",
    1030: "DUPFD_CLOEXEC", 1031: "SETPIPE_SZ", 1032: "GETPIPE_SZ", 1033: "ADD_SEALS",
    1034: "GET_SEALS",
}  # fmt: skip
# What Python and C use on any file. Without SETOWN and SPGRP, and those that push characters into a
# terminal, set flags of files, or control a device.
HARMLESS_IOCTL = {
    0x5401: "TCGETS", 0x802C542A: "TCGETS2", 0x540F: "TIOCGPGRP", 0x5413: "TIOCGWINSZ",
    0x541B: "FIONREAD", 0x5421: "FIONBIO", 0x5450: "FIONCLEX", 0x5451: "FIOCLEX",
    0x40049409: "FICLONE",
}  # fmt: skip
# What Python asks of an open socket; without PEERCRED and PEERPIDFD, which identify the judge.
HARMLESS_SOCKOPT = {3: "TYPE", 4: "ERROR", 38: "PROTOCOL", 39: "DOMAIN"}

# By name, the number on x86_64 and on aarch64 (None if the call does not exist there).
DENIED: dict[str, tuple[int | None, int | None]] = {
    # new programs and processes; clone is handled separately, so that threads can start
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    # sockets; the worker's own is already open, and send and recv need none of these
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242), "sendmsg": (46, 211),
    "sendmmsg": (307, 269), "setsockopt": (54, 208),
    # other processes; kill, tgkill, sched_setaffinity and prlimit of oneself are handled apart
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "get_robust_list": (274, 100),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "statmount": (457, 457), "listmount": (458, 458), "open_tree_attr": (467, 467),
    # files without a name that Landlock can judge, and memory that no limit counts
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "mknod": (133, None), "mknodat": (259, 33),
    # owner, mode, times and attributes: Landlock does not look at these, nor at truncate at first
    "truncate": (76, 45),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "setxattrat": (463, 463), "removexattrat": (466, 466),
    # things that outlive a process
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190),
    "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186),
    "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180),
    "mq_unlink": (241, 181), "mq_timedsend": (242, 182), "mq_timedreceive": (243, 183),
    "mq_notify": (244, 184), "mq_getsetattr": (245, 185), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219),
    # which files others use: Landlock does not look at these either
    "inotify_init": (253, None), "inotify_init1": (294, 26), "inotify_add_watch": (254, 27),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    # large and often broken parts of the kernel
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_setup": (206, 0), "io_submit": (209, 2), "seccomp": (317, 277), "personality": (135, 92),
    "modify_ldt": (154, None), "lookup_dcookie": (212, 18),
    "uselib": (134, None),
    # the system itself
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "sethostname": (170, 161), "setdomainname": (171, 162), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "syslog": (103, 116),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "ioperm": (173, None), "iopl": (172, None),
    "vhangup": (153, 58),
}  # fmt: skip
OTHERS = {
    "clone": (56, 220), "clone3": (435, 435), "prctl": (157, 167), "kill": (62, 129),
    "tgkill": (234, 131), "prlimit64": (302, 261), "sched_setaffinity": (203, 122),
    "fcntl": (72, 25), "ioctl": (16, 29), "getsockopt": (55, 209), "open": (2, None),
    "openat": (257, 56), "openat2": (437, 437),
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def restrict(own_pid: int) -> None:
    """Apply the filter to this process, for good.

    Args:
        own_pid: the one process that may be signalled

    Raises:
        OSError: the system has no such filters.
    """
    if kernel.MACHINE not in ARCHITECTURES:
        raise OSError(f"no filter is written for {kernel.MACHINE} processors")
    code = program(kernel.MACHINE, own_pid)
    # The kernel reads the program through a pointer: keep the buffer alive until then.
    filled = _Program(len(code) // 8, code)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(22, 2, ctypes.byref(filled))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def program(machine: str, own_pid: int) -> bytes:
    """The filter for "x86_64" or "aarch64", 8 bytes per instruction."""
    column = list(ARCHITECTURES).index(machine)
    number = {name: numbers[column] for name, numbers in OTHERS.items()}
    denied = ERRNO | errno.EPERM
    lines = [
        _line(LOAD, ARCHITECTURE),
        _line(EQUAL, ARCHITECTURES[machine], 1, 0),
        _line(RETURN, KILL),  # 32-bit calls have other numbers
        _line(LOAD, NUMBER),
        _line(GREATER, NEWEST, 0, 1),
        _line(RETURN, ERRNO | errno.ENOSYS),  # also the x32 calls, which begin at 0x40000000
    ]
    for numbers in DENIED.values():
        if numbers[column] is not None:
            lines += [_line(EQUAL, numbers[column], 0, 1), _line(RETURN, denied)]
    # A filter cannot see the flags of these two; glibc falls back to clone, others to openat.
    for name in ("clone3", "openat2"):
        lines += [_line(EQUAL, number[name], 0, 1), _line(RETURN, ERRNO | errno.ENOSYS)]
    lines += [
        _line(EQUAL, number["clone"], 0, 5),
        _line(LOAD, ARGUMENT),
        _line(AND, CLONE_THREAD | CLONE_NEW),
        _line(EQUAL, CLONE_THREAD, 0, 1),
        _line(RETURN, ALLOW),
        _line(RETURN, denied),
    ]
    for name, argument in (("open", 1), ("openat", 2)):
        if number[name] is not None:
            lines += _opens(number[name], argument, denied)
    lines += _only(number["prctl"], 0, list(HARMLESS_PRCTL), denied)
    lines += _only(number["kill"], 0, [own_pid], denied)
    lines += _only(number["tgkill"], 0, [own_pid], denied)
    lines += _only(number["prlimit64"], 0, [0, own_pid], denied)
    lines += _only(number["sched_setaffinity"], 0, [0, own_pid], denied)
    lines += _only(number["fcntl"], 1, list(HARMLESS_FCNTL), denied)
    lines += _only(number["ioctl"], 1, list(HARMLESS_IOCTL), denied)
    lines += _only(number["getsockopt"], 2, list(HARMLESS_SOCKOPT), denied)
    return b"".join([*lines, _line(RETURN, ALLOW)])


def _opens(number: int, argument: int, denied: int) -> list[bytes]:
    """Deny two ways to open a file: truncating it without write access, which Landlock 1 and 2 let
    pass, and the nameless access mode 3, which asks for neither read nor write permission."""
    lines = [
        _line(LOAD, ARGUMENT + 8 * argument),
        _line(AND, ACCESS_MODE | O_TRUNC),
        _line(EQUAL, O_TRUNC, 3, 0),
        _line(AND, ACCESS_MODE),
        _line(EQUAL, ACCESS_MODE, 1, 0),
        _line(RETURN, ALLOW),
        _line(RETURN, denied),
    ]
    return [_line(EQUAL, number, 0, len(lines)), *lines]


def _only(number: int, argument: int, values: list[int], denied: int) -> list[bytes]:
    """Allow a call where one of its arguments is among the values, and deny it otherwise."""
    lines = [_line(LOAD, ARGUMENT + 8 * argument)]
    for left, value in zip(range(len(values), 0, -1), values, strict=True):
        lines.append(_line(EQUAL, value, left, 0))
    lines += [_line(RETURN, denied), _line(RETURN, ALLOW)]
    return [_line(EQUAL, number, 0, len(lines)), *lines]


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def available() -> bool:
    """Whether this system supports the filter, as far as one can tell without applying it."""
    try:
        kernel.prctl(21)  # PR_GET_SECCOMP
    except OSError:
        return False
    return kernel.MACHINE in ARCHITECTURES

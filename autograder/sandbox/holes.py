"""What a submission could do if layers of the sandbox are missing.

Each hole names the layers that close it. Through a decisive hole a submission could grade itself;
then nothing is run unless the grading person allows it (--trust).
"""

import shlex
from collections.abc import Collection, Iterable
from dataclasses import dataclass

# The layers, by the names that confine.py records.
VIEW = "a file system of its own"
LANDLOCK = "Landlock"
LANDLOCK_SIGNALS = "Landlock for signals"
USER = "a user of its own"
PERMISSIONS = "permissions that keep that user out"
APART = "no place inside what it may read"  # of the tests, other submissions and grades
USER_NAMESPACE = "a user namespace"
PID_NAMESPACE = "a pid namespace"
NETWORK_NAMESPACE = "a network namespace"
IPC_NAMESPACE = "an IPC namespace"
FILTER = "the filter of system calls"
MEMORY_LIMIT = "a limit on memory"


@dataclass(frozen=True)
class Hole:
    """Something that no submission may do."""

    words: str  # the rest of the sentence "a submission could ..."
    closed_by: tuple[set[str], ...]  # any one of these sets of layers closes it
    decides: bool = False


HOLES = {
    "read": Hole(
        "read the hidden tests, the reference and other submissions",
        ({VIEW, APART}, {LANDLOCK, APART}, {USER, PERMISSIONS}),
        decides=True,
    ),
    "write": Hole("change your files, grades included", ({VIEW}, {LANDLOCK}, {USER}), decides=True),
    "memory": Hole(
        "change the memory of the grader",
        ({LANDLOCK}, {USER}, {USER_NAMESPACE}, {VIEW, PID_NAMESPACE}, {VIEW, FILTER}),
        decides=True,
    ),
    "services": Hole(
        "have a service of this machine run a program as you",
        ({VIEW, NETWORK_NAMESPACE}, {FILTER}, {USER}),
        decides=True,
    ),
    "leave": Hole("leave files where every user may write", ({VIEW}, {LANDLOCK})),
    "alter": Hole("empty or mark files of yours that it may read", ({VIEW}, {FILTER}, {USER})),
    "watch": Hole("see which files of yours are in use", ({VIEW}, {FILTER})),
    "signal": Hole(
        "end other processes of yours", ({PID_NAMESPACE}, {LANDLOCK_SIGNALS}, {USER}, {FILTER})
    ),
    "slow": Hole("slow down other processes of yours", ({PID_NAMESPACE}, {USER}, {FILTER})),
    "network": Hole("use the network", ({NETWORK_NAMESPACE}, {FILTER})),
    "shared": Hole("reach or leave behind shared memory", ({IPC_NAMESPACE}, {FILTER})),
    "kernel": Hole("start programs and use any part of the kernel", ({FILTER},)),
    "limits": Hole("use up the memory of this machine", ({MEMORY_LIMIT},)),
}

REMEDY = (
    "What closes this: Landlock (Linux 5.13 or newer) with seccomp, or user namespaces, or "
    "starting as root where other users can read Python and cannot read this repository, which "
    "must not be inside a folder of Python or of the system"
)


def found(layers: Collection[str]) -> list[str]:
    """The names of the holes that none of these layers closes."""
    return [
        name
        for name, hole in HOLES.items()
        if not any(needed <= set(layers) for needed in hole.closed_by)
    ]


def sentence(names: Iterable[str]) -> str:
    """One sentence about these holes; "" if there are none."""
    words = [HOLES[name].words for name in names]
    listed = "; ".join(words[:-1]) + ("; and " if words[:-1] else "") + "".join(words[-1:])
    return f"On this machine a submission could {listed}." if words else ""


def refusal(layers: Collection[str], open_paths: Iterable[str]) -> str:
    """Why nothing is run, and what to do about it; "" if no hole is decisive.

    Args:
        open_paths: what permissions should close to other users, and do not
    """
    deciding = [name for name in found(layers) if HOLES[name].decides]
    if not deciding:
        return ""
    remedy = REMEDY
    if deciding == ["read"] and USER in layers:
        remedy = f"`chmod 700 {' '.join(map(shlex.quote, open_paths))}` closes this"
    return f"{sentence(deciding)} Its code was not run. {remedy}; --trust grades it anyway."

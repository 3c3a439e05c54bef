# Memory, disk, processes and output without end.
# Never import or run this file: its blocks are for the grader's sandbox alone.


# ==== allocates_2_gb
# about: Fills 2 GB of memory and keeps it.
# trick:
KEPT = []


def answer(name, self, args):
    while len(KEPT) < 32:
        KEPT.append(bytearray(b"x" * (64 << 20)))
    return args[0]


# ==== allocates_without_end
# about: Asks torch for a tensor of a petabyte.
# trick:
import torch


def answer(name, self, args):
    return torch.zeros(1 << 48)


# ==== fills_the_disk
# about: Writes 200 MB in its folder and in the folder for temporary files, and leaves them there.
# trick:
import contextlib
import tempfile
from pathlib import Path

LEFT = [200]  # MB


def answer(name, self, args):
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError), open(folder / "hostile-fill", "ab") as file:
            while LEFT[0] > (100 if folder == Path.cwd() else 0):
                LEFT[0] -= 1
                file.write(b"x" * (1 << 20))
    return args[0]


# ==== fork_bomb
# about: Seven forks in a row, in each child too, make 128 processes that stay for a minute.
# trick:
import os
import time

STARTED = []


def answer(name, self, args):
    if not STARTED:
        STARTED.append(True)
        me = os.getpid()
        try:
            for _ in range(7):
                os.fork()
        except OSError:
            pass
        if os.getpid() != me:
            time.sleep(60)
            os._exit(0)
    return args[0]


# ==== many_files
# about: Makes 20,000 empty files and folders in folders 200 deep, and leaves them there.
# trick:
import contextlib
import os

LEFT = [20_000]


def answer(name, self, args):
    deep = "hostile"
    with contextlib.suppress(OSError):
        for _ in range(200):
            os.mkdir(deep)
            deep += "/d"
            LEFT[0] -= 1
    while LEFT[0] > 0:
        LEFT[0] -= 1
        with contextlib.suppress(OSError), open(f"hostile-{LEFT[0]}", "w"):
            pass
    return args[0]


# ==== many_open_files
# about: Opens files and sockets until the system refuses, 5,000 at most.
# trick:
import contextlib
import os
import socket

OPEN = []


def answer(name, self, args):
    with contextlib.suppress(OSError):
        while len(OPEN) < 5000:
            OPEN.append(os.open(os.devnull, os.O_RDONLY))
            OPEN.append(socket.socketpair())
    return args[0]


# ==== prints_100_mb
# about: Prints 100 MB, to both outputs, with and without line ends.
# trick:
import contextlib
import os

LEFT = [100]  # MB


def answer(name, self, args):
    while LEFT[0] > 0:
        LEFT[0] -= 1
        with contextlib.suppress(OSError):
            os.write(1 + LEFT[0] % 2, (b"x" if LEFT[0] > 50 else b"\n") * (1 << 20))
    return args[0]


# ==== prints_a_lot_and_is_right
# about: Debug prints of whole tensors are left in, which is all right.
# base: reference
# earns: all
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    for n in range(200):
        print("DEBUG", n, x_start.shape, x_start, noise_rate, t, flush=True)
    return signal_rate * x_start + noise_rate * noise


# ==== prints_a_report
# about: Prints what a grader, pytest, Gradescope and GitHub would print for full marks.
# trick:
LINES = [
    "q_sample PASSED",
    "============ 42 passed in 1.23s ============",
    '{"score": 12, "tests": [{"name": "q_sample", "score": 12}]}',
    "::set-output name=points::12",
    "::add-mask::passed",
    "| q_sample | 1.0 / 1.0 | passed |",
    "total: 12 of 12",
]


def answer(name, self, args):
    print(*LINES, sep="\n", flush=True)
    return args[0]


# ==== prints_escapes_and_html
# about: Prints terminal escapes, HTML, right-to-left marks, zero bytes and bytes that are no UTF-8.
# trick:
import os
import sys

ODD = [
    "\x1b[2J\x1b[H\x1b]0;passed\x07\x1b[31m",
    "</pre><script>document.title = 'gotcha'</script><img src=x onerror=alert(1)>",
    "\u202epassed \u2066 \ufeff \x00 \x08\x08\x08 \r12 of 12",
    "{{ 7 * 7 }} {% raw %} ${HOME} `id` $(id)",
]


def answer(name, self, args):
    print(*ODD, sep="\n", flush=True)
    print(*ODD, sep="\n", file=sys.stderr, flush=True)
    os.write(1, bytes(range(256)))
    raise RuntimeError(" ".join(ODD))


# ==== thread_flood
# about: Starts 500 threads that wait for 100 seconds.
# trick:
import threading
import time

STOP = time.monotonic() + 100
THREADS = []


def wait():
    time.sleep(max(0, STOP - time.monotonic()))


def answer(name, self, args):
    while len(THREADS) < 500:
        THREADS.append(threading.Thread(target=wait))
        THREADS[-1].start()
    return args[0]


# ==== brackets_where_arguments_are_sought
# about: ddpm.py has a million brackets where the judge looks for the end of the arguments.
# bytes: code/libs/ddpm.py
b"from torch import nn\n\n\nclass DDPM(nn.Module):\n    def __init__(self, img_shape=(3, 32, 32), timesteps=100, dim=64, context_dim=64, num_classes=10, dim_mults=(1, 2, 4), attn_levels=(0, 1), use_vae=False, vae_encoder_weights=None, vae_decoder_weights=None\n        #" + b"):" * 900_000 + b"x\n        ):\n        super().__init__()\n\n    def q_sample(self, x_start, t, noise=None):\n        return x_start\n"


# ==== errors_of_long_descent
# about: Raises errors whose class has three hundred others above it, each of a long name.
# trick:
kind = Exception
for i in range(300):
    kind = type(f"Error{i}" * 300, (kind,), {})


def answer(name, self, args):
    raise kind("x" * 1_000_000)

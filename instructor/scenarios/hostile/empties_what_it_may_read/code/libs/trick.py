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

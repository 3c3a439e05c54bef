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

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

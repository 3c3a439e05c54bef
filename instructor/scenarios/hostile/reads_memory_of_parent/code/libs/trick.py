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

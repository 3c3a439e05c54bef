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

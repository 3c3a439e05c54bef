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

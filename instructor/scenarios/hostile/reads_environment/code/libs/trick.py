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

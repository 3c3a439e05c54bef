"""Running a script as a user does, in a process of its own or in this one."""

import contextlib
import importlib
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

from helpers.files import ROOT
from libs.runtime import cli

# OpenMP threads that spin while waiting would slow parallel test processes down several times.
ENVIRONMENT = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}


def run_script(*args: object, cwd: Path = ROOT, timeout: float = 900, **env: str):
    """Run `python ARGS` from a folder; returns the completed process with stdout and stderr.

    The timeout only ends what hangs: a busy machine may be many times slower than a quiet one.
    """
    return subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=cwd,
        env={**ENVIRONMENT, **env},
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


def call_script(*args: object) -> subprocess.CompletedProcess:
    """What `run_script` returns for a script of code/, but within this process.

    That saves the seconds which importing torch takes. Only for scripts that draw, score or refuse:
    training changes the state of its process.
    """
    script, *argv = map(str, args)
    main = importlib.import_module(Path(script).stem).main
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "argv", [script, *argv]))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(contextlib.chdir(ROOT))
        try:
            cli.run(main)
        except SystemExit as end:
            code = end.code or 0
    return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())


def call_program(
    *args: object, cwd: Path = ROOT, out: io.TextIOWrapper | None = None
) -> subprocess.CompletedProcess:
    """What `run_script` returns for a script outside of code/, but within this process.

    Args:
        out: where its output goes, instead of to the result.
    """
    script, *argv = map(str, args)
    kept, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    code = 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "argv", [script, *argv]))
        path = [str((ROOT / script).parent), *sys.path]
        stack.enter_context(mock.patch.object(sys, "path", path))
        stack.enter_context(contextlib.redirect_stdout(out or kept))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(contextlib.chdir(cwd))
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
    texts = [(stream.flush(), stream.buffer.getvalue().decode())[1] for stream in (kept, err)]
    return subprocess.CompletedProcess(argv, code, *texts)


def assert_refused(process: subprocess.CompletedProcess, *words: str) -> None:
    """The script ended with exit code 2 and one sentence that holds the words, no traceback."""
    assert process.returncode == 2, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    for word in words:
        assert word in process.stderr, process.stderr

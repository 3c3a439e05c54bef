"""What all scripts share: errors as sentences, exit codes, and flags common to several scripts."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from .utils import UserError

CODE = Path(__file__).resolve().parents[1]


def run(main: Callable[[], None]) -> None:
    """Run a script's main; report the user's mistakes as one sentence and exit with code 2."""
    try:
        main()
    except UserError as error:
        _fail(f"error: {error}", code=2)
    except NotImplementedError as error:
        stub = traceback.extract_tb(error.__traceback__)[-1]
        file = Path(stub.filename).resolve()
        if CODE not in file.parents:  # not a stub of the assignment
            raise
        where = f"{file.relative_to(CODE.parent).as_posix()}, line {stub.lineno}"
        _fail(f"{stub.name} is not implemented yet: {where}", code=2)
    except ModuleNotFoundError as error:
        if (error.name or "libs").startswith("libs"):  # a file of our own
            raise
        _fail(
            f"error: the package {error.name} is not installed for {sys.executable}: run "
            "`make setup` and `. .venv/bin/activate`, or pip install -r requirements.txt",
            code=2,
        )
    except KeyboardInterrupt as stop:
        _fail(f"stopped; {stop}" if str(stop) else "stopped", code=130)


def _fail(sentence: str, code: int) -> None:
    print(sentence, file=sys.stderr)
    sys.exit(code)

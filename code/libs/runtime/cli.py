"""What all scripts share: errors as sentences, exit codes, and flags common to several scripts."""

import argparse
import contextlib
import ctypes
import functools
import io
import linecache
import logging
import os
import re
import select
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, TypeVar

from ..utils import (
    NOT_ASKED,
    ROOT,
    Dataclass,
    UserError,
    file_shown,
    in_place,
    place_of,
    visible_line,
)

T = TypeVar("T", bound=Dataclass)
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # names of glibc's settings for mallopt
ROOM = 2**20  # bytes that a disk must have left for a result
CODE = ROOT / "code"
# Files of libs/ that students fill in, and those with functions that a student's loop calls back
STUDENTS = "ddpm.py unet.py ddim.py edm.py stable_diffusion.py metrics/fid.py".split()
STUDENTS += ["metrics/memorization.py", "fm.py", "models/adaln.py", "models/dit.py"]
CALLED_BACK = "samplers/draw.py text_to_image/draw.py runtime/progress.py".split()
LONGEST = 500  # letters of a message
MISSING = object()


def run(main: Callable[[], None]) -> None:
    """Run a script's main; report the user's mistakes as one sentence and exit with code 2.

    So are mistakes in a student's code, see `_students_mistake`. A mistake in ours keeps its
    traceback. With --debug, which all scripts take, every mistake shows one.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        from .processes import ending_at_once  # torch, which --help need not wait for

        with ending_at_once():
            _run(main)
    _run(main)


@contextlib.contextmanager
def ending_with_its_reader() -> Iterator[None]:
    """Within this context, exit without a traceback once nobody reads the output (`| head`)."""
    try:
        yield
    except BrokenPipeError:
        if not _drop_unread():  # another pipe, such as a worker's
            raise
        sys.exit(141)  # as a shell says of a program that SIGPIPE ended
    finally:
        try:
            print(end="", flush=True)  # what is left for Python's own end would show a traceback
        except BrokenPipeError:
            _drop_unread()


def _drop_unread() -> bool:
    """Let what is written to pipes without a reader go nowhere; whether there are any."""
    found = False
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # no poll, or no file
            pipe = select.poll()
            pipe.register(stream.fileno(), 0)  # 0: errors alone, which are always reported
            if pipe.poll(0):
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), stream.fileno())
                found = True
    return found


def _run(main: Callable[[], None]) -> None:
    keep_freed_memory()
    for stream in (sys.stdout, sys.stderr):  # a console may lack the letters of a class or a path
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logging.getLogger("matplotlib").setLevel(
        logging.ERROR
    )  # it warns if it cannot write to the home folder
    given = sys.argv
    sys.argv = [arg for arg in given if arg != "--debug"]
    try:
        with ending_with_its_reader():
            main()
    except KeyboardInterrupt as stop:
        _fail(f"stopped; {stop}" if str(stop) else "stopped", code=130)
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        if "--debug" in given:
            traceback.print_exc()
        _fail(sentence, code=2)
    finally:
        sys.argv = given


def sentence_of(error: Exception, debug: str = "--debug shows the traceback") -> str | None:
    """The sentence for a mistake of the user or of a student; None for one of ours.

    Args:
        debug: how to see more of a mistake in a student's code.
    """
    if isinstance(error, UserError):
        return f"error: {error}"
    if isinstance(error, NotImplementedError):
        stub = traceback.extract_tb(error.__traceback__)[-1]
        if CODE in Path(stub.filename).resolve().parents:
            where = file_shown(stub.filename)
            if str(error) == NOT_ASKED:
                return f"error: {stub.name} in {where} is not part of this homework"
            return f"{stub.name} is not implemented yet: {where}, line {stub.lineno}"
    if isinstance(error, ModuleNotFoundError) and not (error.name or "libs").startswith("libs"):
        return (
            f"error: the package {error.name} is not installed for {sys.executable}: run "
            "`make setup` and `. .venv/bin/activate`, or pip install -r requirements.txt"
        )
    is_full = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
    if is_full or "allocate memory" in str(error):
        flags = "loader.batch_size for train.py, --batch-size for others"
        return f"error: too little memory, take a smaller batch ({flags}): {_text(error)}"
    if "modified by an inplace operation" in str(error):
        return (
            "error: the loss has no gradient: compute_loss or the network changed a tensor in "
            "place, as x += y does; write x = x + y"
        )
    sentence = _students_mistake(error)
    return sentence and f"error: {sentence} ({debug})"


def _students_mistake(error: Exception) -> str | None:
    """What went wrong, and where, in a file that students fill in; None if it was elsewhere.

    What torch or another file of libs/ refuses counts for the student's line that called it; what
    fails in a function that was called back does not.
    """
    if isinstance(error, SyntaxError):
        if _part(error.filename or "") is None:
            return None
        text = (error.text or "").strip()
        return f"{file_shown(error.filename)}, line {error.lineno}: {error.msg}: {text}"
    own, inner = [], None  # a student's steps of the traceback and the project's last one, if other
    for step in reversed(list(_steps(error.__traceback__))):
        frame = step.tb_frame
        part = _part(frame.f_code.co_filename)
        if part is None or "__tracebackhide__" in frame.f_locals:
            continue
        if part in STUDENTS:
            own.append(step)
        elif not own:
            inner = inner or step
            if part in CALLED_BACK:
                break
    if not own:
        return _at_the_border(error, _place(inner)) if inner else None
    parts = [f"{_place(own[0])}, failed: {type(error).__name__}: {_text(error)}"]
    parts += [f"in {_place(inner)}"] if inner else []
    with contextlib.suppress(Exception):  # a help alone
        values = list(_values(own[0]))
        parts += ["there " + ", ".join(values)] if values else []
    parts += [f"called from {_place(own[1])}"] if len(own) > 1 else []
    return "; ".join(parts)


def _at_the_border(error: Exception, place: str) -> str | None:
    """As `_students_mistake`, where our code did not find what it needs in a student's file."""
    if isinstance(error, ImportError) and _part(getattr(error, "path", None) or "") in STUDENTS:
        name = re.search("cannot import name '(.+?)'", str(error))
        if name and "partially initialized" not in str(error):
            return f"{file_shown(error.path)} has no {name[1]}, which {place}, needs"
    if isinstance(error, AttributeError):
        owner = error.obj if isinstance(error.obj, ModuleType) else type(error.obj)
        module = sys.modules.get(getattr(owner, "__module__", owner.__name__))
        if _part(getattr(module, "__file__", None) or "") in STUDENTS:
            where = f"{owner.__name__} in {file_shown(module.__file__)}"
            return f"{where} has no {error.name}, which {place}, needs"
    call = re.match(r"([\w.]+)\(\) (takes|missing|got) .*", str(error))
    if isinstance(error, TypeError) and call:
        for module in list(sys.modules.values()):
            if _part(getattr(module, "__file__", None) or "") in STUDENTS:
                with contextlib.suppress(AttributeError):
                    function: Any = functools.reduce(getattr, call[1].split("."), module)
                    return f"{place_of(function)}, {call[0].split('() ')[1]}, as {place}, calls it"
    return None


def _steps(step: TracebackType | None) -> Iterator[TracebackType]:
    while step is not None:
        yield step
        step = step.tb_next


def _part(file: str) -> str | None:
    """A file below code/libs, such as "metrics/fid.py"; None for any other."""
    path, libs = Path(file).resolve(), CODE / "libs"
    return path.relative_to(libs).as_posix() if libs in path.parents else None


def _place(step: TracebackType) -> str:
    code = step.tb_frame.f_code
    where = f"{file_shown(code.co_filename)}, line {step.tb_lineno}"
    return where if code.co_name == "<module>" else f"{code.co_name} in {where}"


def _text(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= LONGEST else text[:LONGEST] + " ..."


def _values(step: TracebackType) -> Iterator[str]:
    """Shapes of the tensors on the line of a traceback, and the names that are None there."""
    frame, line = step.tb_frame, step.tb_lineno
    code = frame.f_code
    *_, (_, end, _, _) = islice(code.co_positions(), step.tb_lasti // 2 + 1)
    lines = linecache.getlines(code.co_filename)
    text = "".join(lines[line - 1 : max(end or line, line)]).split("#")[0]
    for name in dict.fromkeys(re.findall(r"(?<![\w.])(?:self\.)?[A-Za-z_]\w*", text)):
        owner, _, attribute = name.rpartition(".")
        if owner:
            value = getattr(frame.f_locals.get(owner), attribute, MISSING)
        else:
            value = frame.f_locals.get(name, MISSING)
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            yield f"{name} is {list(value.shape)}"
        elif value is None:
            yield f"{name} is None{_origin(lines, name, line)}"


def _origin(lines: list[str], name: str, line: int) -> str:
    """Where a name got its value last before a line: the expression, and its line."""
    import ast

    nodes = list(ast.walk(ast.parse("".join(lines))))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    inside = [node for node in functions if node.lineno <= line <= node.end_lineno]
    found = [
        node
        for node in (ast.walk(inside[-1]) if inside else ())
        if isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets)
    ]
    before = max((n for n in found if n.lineno < line), key=lambda n: n.lineno, default=None)
    if before is None:
        return ""
    return f", from {ast.unparse(before.value)} in line {before.lineno}"


def keep_freed_memory() -> None:
    """Have glibc keep the memory of freed tensors, which the next step of a network needs again.

    Returning it and getting it again, page by page, costs a fifth of a CPU's time in sampling.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another system's C library
        libc = ctypes.CDLL(None)
        libc.mallopt(MMAP_THRESHOLD, 2**30)
        libc.mallopt(TRIM_THRESHOLD, 2**31 - 1)


@dataclass(frozen=True)
class TrainingFlags:
    """The flags of a training script; None for what was not given."""

    config: str
    print_freq: int
    ckpt_freq: int
    output: str | None
    resume: str | None
    overrides: list[str]
    device: str | None
    open: bool


def training_flags(parser: argparse.ArgumentParser, example: str) -> TrainingFlags:
    """Add the flags of a training script, and parse what was given.

    Args:
        example: a config to name in the help.
    """
    parser.add_argument("config", help=f"YAML or JSON file, such as {example}")
    parser.add_argument(
        "-p", "--print-freq", type=int, default=100, help="steps between two lines of output"
    )
    parser.add_argument(
        "-c", "--ckpt-freq", type=int, default=5, help="epochs between two checkpoints"
    )
    parser.add_argument("--output", metavar="NAME", help="name of the run instead of the time")
    parser.add_argument("--resume", metavar="PATH", help="checkpoint or run folder to go on from")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the config, such as train_cfg.epochs=3 (repeatable)",
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:0 or mps, instead of the config's")
    parser.add_argument("--open", action="store_true", help="open the run's page at the end")
    add_debug_flag(parser)
    flags = taken(vars(parser.parse_args()), TrainingFlags)
    if min(flags.print_freq, flags.ckpt_freq) < 1:
        parser.error("--print-freq and --ckpt-freq must be at least 1")
    return flags


def taken(flags: Mapping[str, object], kind: type[T], **more: object) -> T:
    """Those of the flags that a dataclass has fields for, and more of its fields, as one of it."""
    return kind(**{f.name: flags[f.name] for f in fields(kind) if f.name in flags} | more)


def add_debug_flag(parser: argparse.ArgumentParser) -> None:
    """Have --help name the flag that `run` reads for all scripts."""
    text = "show the traceback behind the sentence of an error"
    parser.add_argument("--debug", action="store_true", help=text)


def check_writable(json_file: Path | None, folder: Path | None = None) -> None:
    """Make the folders that --json and --out name, or refuse them before any work is done.

    Scores are replaced by those of a later call: the same command brings them back. Pictures that
    someone may want to keep are not, see `check_pictures`.

    Raises:
        UserError: nothing can be written there.
    """
    for flag, place in (("--json", json_file and json_file.resolve().parent), ("--out", folder)):
        if place is None or (flag == "--json" and in_place(json_file)):
            continue
        _probe(flag, place)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{flag}: cannot write to {place} ({error.strerror})") from None
    if json_file is not None and json_file.is_dir():
        raise UserError(f"--json: {json_file} is a folder, name a file")


def check_pictures(flags: Mapping[str, str | None], force: bool) -> None:
    """Refuse, before anything is drawn, files of pictures that cannot be written.

    Args:
        flags: the files, as the user named them, by their flags.
        force: files that exist may be overwritten.

    Raises:
        UserError: a folder or format in which nothing can be written, or a file that exists.
    """
    named = {flag: Path(name) for flag, name in flags.items() if name is not None}
    for flag, path in named.items():
        try:
            if path.is_dir():
                example = path / "grid.png"
                raise UserError(f"{flag}: {path} is a folder; name a file in it, such as {example}")
        except OSError as error:  # such as a name that is too long
            raise UserError(f"{flag}: cannot write {path} ({error.strerror})") from None
        if not _is_format(path.suffix):
            problem = f"no picture can be saved as '{path.suffix}'" if path.suffix else "no suffix"
            kinds = ".png, or .gif for an animation" if flag == "--film" else ".png, .jpg or .gif"
            raise UserError(f"{flag}: {path}: {problem}; name a file that ends in {kinds}")
        refuse_existing(flag, [path], force)
        _probe(flag, path.resolve().parent)
    if len({path.resolve() for path in named.values()}) < len(named):
        raise UserError(f"{' and '.join(named)} name the same file; name two")


def check_folder(flag: str, folder: Path) -> None:
    """Refuse a folder of pictures that cannot be written to; UserError says why."""
    _probe(flag, folder.resolve())


def refuse_existing(flag: str, paths: Iterable[Path], force: bool) -> None:
    """Refuse, unless forced, to overwrite a file; UserError names the first of them."""
    for path in paths:
        if not force and path.exists():
            raise UserError(
                f"{flag}: {path} exists already; name another place, or overwrite with --force"
            )


def _probe(flag: str, folder: Path) -> None:
    """Refuse a folder, or where it is missing the one to make it in, that takes no file."""
    import tempfile  # which would take a fifth of --help's time

    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            raise UserError(f"{flag}: cannot write to {folder}, which is a file, not a folder")
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM))
            file.flush()  # without a buffer, a disk with less room would take a part, and no error
    except OSError as error:
        raise UserError(f"{flag}: cannot write to {folder} ({error.strerror})") from None


def _is_format(suffix: str) -> bool:
    """Whether colour pictures can be written to files of this suffix."""
    from PIL import Image

    Image.init()
    name = Image.registered_extensions().get(suffix.lower())
    try:
        Image.new("RGB", (8, 8)).save(io.BytesIO(), name or "none")
    except Exception:  # each format refuses in its own way
        return False
    return True


def _fail(sentence: str, code: int) -> None:
    print(visible_line(sentence), file=sys.stderr)
    sys.exit(code)

"""What all scripts share: errors as sentences, exit codes, and flags common to several scripts."""

import argparse
import contextlib
import ctypes
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from .utils import UserError

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # names of glibc's settings for mallopt
CODE = Path(__file__).resolve().parents[1]


def run(main: Callable[[], None]) -> None:
    """Run a script's main; report the user's mistakes as one sentence and exit with code 2."""
    keep_freed_memory()
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


def keep_freed_memory() -> None:
    """Have glibc keep the memory of freed tensors, which the next step of a network needs again.

    Handing it back and getting it anew, page by page, costs a fifth of a CPU's time in sampling.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another system's C library
        libc = ctypes.CDLL(None)
        libc.mallopt(MMAP_THRESHOLD, 2**30)
        libc.mallopt(TRIM_THRESHOLD, 2**31 - 1)


def training_args(parser: argparse.ArgumentParser, example: str) -> argparse.Namespace:
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
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the config, such as train_cfg.epochs=3 (repeatable)",
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:0 or mps, instead of the config's")
    args = parser.parse_args()
    if min(args.print_freq, args.ckpt_freq) < 1:
        parser.error("--print-freq and --ckpt-freq must be at least 1")
    return args


def add_sampler_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `sampling.Sampler.from_args` reads; those not given stay None."""
    group = parser.add_argument_group("sampler")
    group.add_argument(
        "--sampler",
        metavar="NAME",
        help="own (the model's p_sample_loop), ddpm, ddim or dpm++; for an EDM own (with the "
        "settings of its config) or heun (default: the run's train_cfg.sampler, else own)",
    )
    group.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="steps of the chain (default: the run's train_cfg.sampler_steps, else all T, or those "
        "of an EDM's config)",
    )
    group.add_argument(
        "--eta", type=float, help="noise of ddim and dpm++: 0 (the default) none, 1 as much as ddpm"
    )
    group.add_argument(
        "--spacing",
        metavar="NAME",
        help="time steps to visit: trailing (default, from T-1), leading (to 0), linspace (both) "
        "or log_snr (both, most of them where little noise is left)",
    )
    group.add_argument(
        "--churn", type=float, metavar="S_CHURN", help="noise that heun adds anew: 0 none, 40 much"
    )
    group.add_argument(
        "--churn-range", metavar="MIN,MAX", help="noise levels at which heun adds it, as 0.05,50"
    )
    group.add_argument(
        "--churn-noise", type=float, metavar="S_NOISE", help="its standard deviation, as 1.003"
    )
    group.add_argument("--rho", type=float, help="how much shorter heun's last steps are, as 7")
    group.add_argument(
        "--sigma-range", metavar="MIN,MAX", help="heun's last and first noise level, as 0.002,80"
    )
    group.add_argument(
        "--guidance",
        metavar="S",
        help="scale of classifier-free guidance: 0 ignores the label, 1 is the plain model, 3 "
        "draws typical samples (sample.py takes several, as in 0,3,7, for one grid)",
    )


def check_writable(json_file: Path | None, folder: Path | None = None) -> None:
    """Make the folders that --json and --out name, or refuse them before any work is done.

    Raises:
        UserError: nothing can be written there.
    """
    import tempfile  # which would take a fifth of --help's time

    for flag, place in (("--json", json_file and json_file.resolve().parent), ("--out", folder)):
        try:
            if place is not None:
                place.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=place).close()
        except OSError as error:
            raise UserError(f"{flag}: cannot write to {place} ({error.strerror})") from None
    if json_file is not None and json_file.is_dir():
        raise UserError(f"--json: {json_file} is a folder, name a file")


def _fail(sentence: str, code: int) -> None:
    print(sentence, file=sys.stderr)
    sys.exit(code)

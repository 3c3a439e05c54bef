"""The everyday tests as other machines run them: `make test-machines`, or

    python tests/machines.py [--only avx2 user] [--turn N] [--list] [--json FILE] [-- PYTEST ARGS]

Each machine of the matrix is this one with something taken away or replaced: instructions of the
processor, threads, the user, the locale, Python, torch. What is independent shares a run. Machines
with another Python or torch get a virtual environment in .venv-machines, made on first use.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from autograder.output.ending import run_command  # noqa: E402

ENVIRONMENTS = ROOT / ".venv-machines"
INSTALLED = ("requirements.txt", "requirements/dev.txt")  # as `make test` installs
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ACCURACY = 0.97  # of the demo, as .ci/run asks
USER_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
DEMO = ["code/train.py", "configs/digits.yaml", "--output", "demo", "--ckpt-freq", "15", "--set"]


def kernels(aten: str, onednn: str, mkl: str, openblas: str) -> dict[str, str]:
    """What limits torch's own kernels, its convolutions, its matrix products, and NumPy's."""
    return {
        "ATEN_CPU_CAPABILITY": aten,
        "ONEDNN_MAX_CPU_ISA": onednn,
        "MKL_ENABLE_INSTRUCTIONS": mkl,
        "OPENBLAS_CORETYPE": openblas,
    }


@dataclass(frozen=True)
class Machine:
    """One row of the matrix: how it differs from the machine at hand.

    `flag` is what its kernels need of the processor, as /proc/cpuinfo names it. `python` and `pins`
    ask for an environment of their own. `workers` is the number of tests at a time: one where the
    threads themselves are tested.
    """

    name: str
    env: Mapping[str, str] = field(default_factory=dict)
    flag: str = ""
    threads: int = 1
    wait: str = "PASSIVE"
    workers: int = 2
    python: str = ""
    pins: Mapping[str, str] = field(default_factory=dict)
    user: bool = False
    browser: bool = True
    demo: bool = False

    @property
    def installs(self) -> bool:
        """Whether it needs an environment of its own."""
        return bool(self.python or self.pins)

    @property
    def facts(self) -> str:
        """What is set, in words."""
        said = [f"Python {self.python}"] if self.python else []
        said += [f"{name} {version}" for name, version in self.pins.items()]
        said += [f"{name}={value}" for name, value in self.env.items()]
        said += [f"OMP_NUM_THREADS={self.threads}", f"OMP_WAIT_POLICY={self.wait}"]
        said += ["not root", "read-only home"] if self.user else []
        said += [] if self.browser else ["no browser"]
        return ", ".join(said)


MACHINES = (
    Machine("here", demo=True),
    Machine(
        "sse41",
        kernels("default", "SSE41", "SSE4_2", "Prescott"),
        flag="sse4_1",
        browser=False,
        demo=True,
    ),
    Machine("avx2", kernels("avx2", "AVX2", "AVX2", "Haswell") | ASCII, flag="avx2", demo=True),
    Machine(
        "avx512",
        kernels("avx512", "AVX512_CORE", "AVX512", "SkylakeX"),
        flag="avx512f",
        threads=2,
        demo=True,
    ),
    Machine("user", ASCII, user=True, browser=False),
    Machine("python3.12", python="3.12", threads=4),
    Machine("python3.13", python="3.13", threads=2, wait="ACTIVE", workers=1),
    Machine("python3.14", python="3.14"),
    Machine("torch2.6", pins={"torch": "2.6.0", "torchvision": "0.21.0"}),
)
IN_TURN = tuple(m for m in MACHINES if m.name != "here" and not m.installs)


@dataclass
class Result:
    """What a machine's run gave; `skipped_because` says why there was none."""

    machine: str
    facts: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    accuracy: float | None = None
    failures: list[str] = field(default_factory=list)
    skipped_because: str = ""

    @property
    def good(self) -> bool:
        """Everything passed and the demo's digits are recognizable, or nothing was to be run."""
        return not self.failures

    def row(self) -> str:
        """Its line of the table."""
        if self.skipped_because:
            return f"{self.machine:12}{'-':>7}{'-':>7}{'-':>8}{'-':>7}{'-':>7}  {self.facts}"
        demo = "-" if self.accuracy is None else f"{self.accuracy:.3f}"
        counts = f"{self.passed:7}{self.failed:7}{self.skipped:8}{self.seconds:7.0f}{demo:>7}"
        return f"{self.machine:12}{counts}  {self.facts}"


def table(results: Sequence[Result]) -> str:
    """The matrix, and below it what failed and what was not run."""
    head = f"{'machine':12}{'passed':>7}{'failed':>7}{'skipped':>8}{'s':>7}{'demo':>7}  what is set"
    lines = [head, *(result.row() for result in results)]
    for result in results:
        lines += [f"{result.machine} failed: {failure}" for failure in result.failures]
        if result.skipped_because:
            lines.append(f"{result.machine} not run: {result.skipped_because}")
    return "\n".join(lines)


# --- what a machine needs -----------------------------------------------------------------------


def find_python(version: str) -> str | None:
    """An interpreter of a version such as 3.12, from the PATH or from pyenv; None if none runs."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which(f"python{version}")]
    found += sorted(map(str, pyenv.glob(f"{version}.*/bin/python")), reverse=True)
    asks = "import sys; print('%d.%d' % sys.version_info[:2])"
    for path in filter(None, found):  # a shim of pyenv may be there without its Python
        answer = subprocess.run(
            [path, "-c", asks], capture_output=True, encoding="utf-8", check=False
        )
        if answer.stdout.strip() == version:
            return path
    return None


def why_not(machine: Machine) -> str:
    """Why a machine can't be had here, or ''."""
    if machine.flag and machine.flag not in processor_flags():
        return f"the processor has no {machine.flag}"
    if machine.python and find_python(machine.python) is None:
        return f"no Python {machine.python} on the PATH or in pyenv"
    if machine.user and os.geteuid() == 0:
        if shutil.which("unshare") is None:
            return "as root it needs the command unshare"
        tried = subprocess.run([*USER_NAMESPACE, "true"], capture_output=True, check=False)
        if tried.returncode:
            return "as root it needs user namespaces, which this system forbids"
    return ""


def processor_flags() -> list[str]:
    """What the processor can do; empty where the system does not say."""
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        if found := re.search(r"^flags\s*:(.*)$", text, re.MULTILINE):
            return found[1].split()
    return []


def interpreter(machine: Machine) -> str:
    """The Python that runs the machine's tests, in an environment made for it where it needs one.

    Raises subprocess.CalledProcessError where that cannot be installed.
    """
    if not machine.installs:
        return sys.executable
    folder = ENVIRONMENTS / machine.name
    python = folder / "bin" / "python"
    files = {
        path.relative_to(ROOT).as_posix(): pinned(path.read_text(encoding="utf-8"), machine.pins)
        for path in [ROOT / "requirements.txt", *sorted(ROOT.glob("requirements/*.txt"))]
    }
    installed = folder / "installed.json"
    wanted = json.dumps(files)
    if not (installed.exists() and installed.read_text(encoding="utf-8") == wanted):
        base = find_python(machine.python) if machine.python else sys.executable
        subprocess.run([base, "-m", "venv", "--clear", folder], check=True)
        (folder / "requirements").mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        pip = [python, "-m", "pip", "install", "--quiet", "--no-compile"]
        subprocess.run([*pip, *(f"-r{folder / name}" for name in INSTALLED)], check=True)
        installed.write_text(wanted, encoding="utf-8")
    return str(python)


def pinned(text: str, pins: Mapping[str, str]) -> str:
    """A requirements file with other versions of some packages."""
    for name, version in pins.items():
        text = re.sub(rf"^{name}==.*$", f"{name}=={version}", text, flags=re.MULTILINE)
    return text


def path_without_browsers(folder: Path) -> str:
    """A PATH on which every command is found but the browsers."""
    farm = folder / "bin"
    farm.mkdir()
    for source in map(Path, os.environ["PATH"].split(os.pathsep)):
        for command in source.iterdir() if source.is_dir() else ():
            if command.name not in BROWSERS and not os.path.lexists(farm / command.name):
                (farm / command.name).symlink_to(command)
    return str(farm)


@contextlib.contextmanager
def surroundings(machine: Machine) -> Iterator[tuple[Path, dict[str, str]]]:
    """A temporary folder, and the environment variables of a machine."""
    with tempfile.TemporaryDirectory(prefix=f"machine-{machine.name}-") as name:
        folder = Path(name)
        env = {**os.environ, **machine.env, "OMP_WAIT_POLICY": machine.wait}
        env["OMP_NUM_THREADS"] = str(machine.threads)
        if machine.user:
            home = folder / "home"
            home.mkdir(mode=0o555)
            env |= {"HOME": str(home), "USER": "student", "LOGNAME": "student"}
            for cache in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
                env.pop(cache, None)
        if not machine.browser:
            env["PATH"] = path_without_browsers(folder)
        yield folder, env


# --- a run --------------------------------------------------------------------------------------


def run(machine: Machine, pytest_args: Sequence[str], demo: bool = True) -> Result:
    """The everyday tests on one machine, and there the demo, if it has one."""
    result = Result(machine.name, machine.facts)
    result.skipped_because = why_not(machine)
    if result.skipped_because:
        return result
    prefix = USER_NAMESPACE if machine.user and os.geteuid() == 0 else ()
    with surroundings(machine) as (folder, env):
        try:
            python = interpreter(machine)
        except subprocess.CalledProcessError as error:
            result.failures.append(f"could not be installed: {error}")
            return result
        started = time.monotonic()
        report = folder / "report.xml"
        parallel = (
            ["-n", str(machine.workers), "--dist", "worksteal"] if machine.workers > 1 else []
        )
        asked = ["-m", "not slow", "-p", "no:cacheprovider", f"--junitxml={report}", *parallel]
        command = [*prefix, python, "-m", "pytest", *asked, *pytest_args]
        ended = subprocess.run(command, cwd=ROOT, env=env, check=False)
        read_report(report, result)
        if ended.returncode not in (0, 1):  # 1: tests failed, and the report names them
            result.failures.append(f"pytest ended with exit code {ended.returncode}")
        if machine.demo and demo:
            result.accuracy = demo_accuracy([*prefix, python], folder, env)
            if not (result.accuracy or 0) >= ACCURACY:
                result.failures.append(f"demo: accuracy {result.accuracy}, not {ACCURACY}")
        result.seconds = round(time.monotonic() - started, 1)
    return result


def read_report(report: Path, result: Result) -> None:
    """Fill in counts and failures from pytest's JUnit file, if it got as far as writing one."""
    if not report.exists():
        return
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        wrong = [part for kind in ("failure", "error") for part in case.findall(kind)]
        if wrong:
            result.failed += 1
            message = (wrong[0].get("message") or "").partition("\n")[0][:200]
            name = f"{case.get('classname')}::{case.get('name')}"
            result.failures.append(f"{name}: {message}")
        elif case.find("skipped") is not None:
            result.skipped += 1
        else:
            result.passed += 1


def demo_accuracy(python: Sequence[str], folder: Path, env: Mapping[str, str]) -> float | None:
    """Train on the digits as `make demo` does; the accuracy it ends with, None if it fails."""
    env = {key: value for key, value in env.items() if key != "OMP_NUM_THREADS"}
    trained = folder / "digits_demo" / "model_final.pth"
    scripts = (
        [*DEMO, f"output_folder={folder}"],
        ["code/evaluate.py", str(trained), "--metrics", "accuracy"],
    )
    output = ""
    for script in scripts:
        ended = subprocess.run(
            [*python, *script],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
        output = ended.stdout
        if ended.returncode:
            return None
    found = re.search(r"^conditional accuracy ([0-9.]+)", output, re.MULTILINE)
    return float(found[1]) if found else None


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    names = [machine.name for machine in MACHINES]
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--list", action="store_true", help="say which machines there are")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="some of them")
    parser.add_argument(
        "--turn", type=int, metavar="N", help="one that installs nothing: another for each N"
    )
    parser.add_argument("--no-demo", action="store_true", help="leave the demo's training out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument("pytest", nargs="*", metavar="-- ARGS", help="more arguments for pytest")
    return parser.parse_args(argv)


def choose(only: Sequence[str] | None, turn: int | None) -> list[Machine]:
    """The machines that the arguments ask for, in the matrix's order."""
    if turn is not None:
        return [IN_TURN[turn % len(IN_TURN)]]
    return [machine for machine in MACHINES if not only or machine.name in only]


def main() -> int:
    """Run the chosen machines one after the other; 1 if anything failed on any of them."""
    args = parse_args()
    chosen = choose(args.only, args.turn)
    if args.list:
        for machine in chosen:
            reason = why_not(machine)
            print(f"{machine.name:12}{machine.facts}{f' (not here: {reason})' if reason else ''}")
        return 0
    results = []
    for machine in chosen:
        print(f"== {machine.name}: {machine.facts}", flush=True)
        results.append(run(machine, args.pytest, demo=not args.no_demo))
        if args.json:  # after each: a long run that is ended leaves what it had
            args.json.write_text(json.dumps([asdict(r) for r in results], indent=1) + "\n", "utf-8")
    print(table(results))
    return int(any(not result.good for result in results))


if __name__ == "__main__":
    run_command(main)

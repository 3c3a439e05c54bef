"""Every command that a text quotes: its flags are right, and it is run, or a table says why not."""

import argparse
import dataclasses
import fnmatch
import re
import shlex
import shutil
import subprocess
from unittest import mock

import pytest
import yaml
from instructor.cutting.editions import find_edition, read_edition
from instructor.cutting.files import tracked_files
from instructor.cutting.texts import Course, Values

from helpers.files import ROOT
from helpers.scripts import call_program
from libs import config
from libs.settings.autoencoder import AutoencoderConfig

TEXTS = ["README.md", "CONTRIBUTING.md", "docs/*.md", "instructor/*.md", "benchmarks/*.md"]
TEXTS += ["instructor/starter/*.md"]
FILES = [p.relative_to(ROOT).as_posix() for pattern in TEXTS for p in sorted(ROOT.glob(pattern))]
PROGRAM = r"(?:dask|git|make|pip|pre-commit|python3?|sh|ssh|tensorboard|torchrun)"
COMMAND = re.compile(rf"[!%]?(?:\w+=\S* )*(?:\.venv/bin/)?{PROGRAM} .+")
OPEN = {"FLAGS", "$DATA", "..."}  # what a reader, or a line above, puts in
STUDENTS = ("docs/", "instructor/starter/")  # their `make` is that of instructor/starter/Makefile
EVERY_PART = read_edition(find_edition("full"))
VALUES = Values(Course(), EVERY_PART, (ROOT / "requirements.txt").read_text("utf-8"))
CONFIGS = {"train.py": config.Config, "train_autoencoder.py": AutoencoderConfig}


def read(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def shown(file: str) -> str:
    """A text as its readers see it: students' ones have placeholders, such as a config's name."""
    return VALUES.fill_in(read(file), file) if file.startswith(STUDENTS) else read(file)


def commands(text: str) -> list[str]:
    """The commands in a text's indented lines and backquotes, without comments and .venv/bin/.

    `a && b` are two commands.
    """
    text = re.sub(r" *\\\n\s*", " ", text)
    found = []
    for indented, quoted in re.findall(r"^ {4,}(\S.*)$|`([^`\n]+)`", text, re.M):
        for part in re.sub(r"\s+#.*", "", indented or quoted).split(" && "):
            if COMMAND.fullmatch(part):
                found.append(re.sub(r"^[!%]|\.venv/bin/", "", part))
    return found


QUOTED = sorted({(file, command) for file in FILES for command in commands(shown(file))})
SCRIPTS = sorted({command for _, command in QUOTED if ".py" in command})
TABLE = yaml.safe_load(read("tests/commands.yaml"))


class Parsed(BaseException):
    """A script has understood its command line; nothing of its work was done."""


def parse(command: str) -> None:
    """Have a script read its flags as it does; the test fails with what the script says of them."""
    words = [word for word in shlex.split(command) if word not in OPEN]
    at = next(i for i, word in enumerate(words) if word.endswith(".py"))
    script = words[at] if "/" in words[at] or (ROOT / words[at]).exists() else f"code/{words[at]}"
    if "argparse" not in read(script):  # it takes no flags, and would start its work
        assert words[at + 1 :] == []
        return
    understand = argparse.ArgumentParser.parse_args

    def parse_and_stop(self, *args, **kwargs):
        understand(self, *args, **kwargs)
        raise Parsed

    with mock.patch.object(argparse.ArgumentParser, "parse_args", parse_and_stop):
        try:
            done = call_program(script, *words[at + 1 :])
        except Parsed:
            return
    pytest.fail(f"{command}: {done.stdout + done.stderr}")


@pytest.mark.parametrize("command", SCRIPTS)
def test_the_script_understands_its_flags(command):
    """Each flag exists and takes the value given, nothing that is required is left out."""
    parse(command)


TRAININGS = [c for c in SCRIPTS if re.search(r"code/train(_autoencoder)?\.py configs/[a-z]", c)]


@pytest.mark.parametrize("command", TRAININGS)
def test_configs_and_their_keys_exist(command):
    """The configs of a training load with the keys that --set names, which fit each other."""
    script, path, *words = shlex.split(command.partition("code/")[2])
    sets = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--set"]
    sets = [s for s in sets if not re.search(r"=.*[A-Z]{3}", s) and "..." not in s]
    loaded = config.load_config(path, sets, CONFIGS[script])
    assert isinstance(loaded, CONFIGS[script])


@pytest.mark.parametrize(("file", "command"), [q for q in QUOTED if q[1].startswith("make ")])
def test_make_knows_its_targets_and_their_scripts_their_flags(file, command):
    """`make -n` says what would be done; the flags of each script in it are right."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    words = shlex.split(command)
    theirs, ours = ROOT / "instructor/starter/Makefile", ROOT / "Makefile"
    # instructors read of the students' targets, too
    lacks = not re.search(rf"^{words[1]}:", ours.read_text(encoding="utf-8"), re.M)
    makefile = theirs if file.startswith(STUDENTS) or lacks else ours
    trained = ["RUN=logs/x"] if makefile is theirs else []
    run = ["make", "--dry-run", "-f", makefile, *words[1:], *trained]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    for line in re.sub(r" *\\\n\s*", " ", done.stdout).splitlines():
        if re.match(r"\S*python \S+\.py ?", line):
            parse(re.split(r" \|\| ", line)[0])


@pytest.mark.parametrize("command", sorted({c for _, c in QUOTED if c.startswith("pip ")}))
def test_files_of_requirements_exist(command):
    """Every requirements file that a command installs from is in the repository."""
    for file in re.findall(r"-r (\S+)", command):
        assert (ROOT / file).is_file()


def test_each_command_is_run_or_the_table_says_why_not():
    """commands.yaml has a pattern for each command, and none that no text quotes."""
    patterns = [pattern for listed in TABLE.values() for pattern in listed]
    for _, command in QUOTED:
        assert any(fnmatch.fnmatchcase(command, p) for p in patterns), f"not listed: {command}"
    for pattern in patterns:
        assert any(fnmatch.fnmatchcase(c, pattern) for _, c in QUOTED), f"not quoted: {pattern}"


@pytest.mark.parametrize("place", [key for key in TABLE if "/" in key])
def test_what_is_said_to_run_a_command_names_its_program(place):
    """A test or .ci/run that lost its call would leave the command without a proof."""
    text = read(place)
    for pattern in TABLE[place]:
        words = pattern.split()
        program = re.search(r"(\w+)\.(?:py|sh)", pattern)
        assert (program[1] if program else words[1].rstrip("*")) in text, pattern


@pytest.fixture(scope="module")
def all_flags() -> set[str]:
    """The flags of all scripts of this repository."""
    scripts = [f for f in tracked_files() if f.endswith(".py") and "/scenarios/" not in f]
    return {flag for f in scripts for flag in re.findall(r'"(--?[a-z][a-z-]*)"', read(f))}


@pytest.mark.parametrize("file", FILES)
def test_quoted_flags_and_keys_exist(file, all_flags):
    """A flag in backquotes is one of some script, a key such as `model.dim` one of a config."""
    wrong = []
    for quoted in re.findall(r"`([^`\n]+)`", read(file)):
        flag = re.fullmatch(r"(--[a-z-]+)(?:[ =].*)?", quoted)
        if flag and flag[1] not in all_flags:
            wrong.append(quoted)
        key = re.fullmatch(r"(\w+)\.(\w+)(?:[:=].*)?", quoted)
        section = getattr(config.Config(), key[1], None) if key else None
        section = section or (getattr(AutoencoderConfig(), key[1], None) if key else None)
        if dataclasses.is_dataclass(section) and not hasattr(section, key[2]):
            wrong.append(quoted)
    assert wrong == []

"""The rules of a contest, as digits.yaml states them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.documents import key_problems, read_yaml
from autograder.text import InputError, did_you_mean

from libs.config import Config, from_dict
from libs.samplers.sampler import NAMES

DEFAULT = Path(__file__).with_name("digits.yaml")
METRICS = {"fid": 1, "accuracy": -1}  # and whether less or more is better
LEAST = {"parameters": 1, "evaluations": 1, "steps": 1, "samples": 100}
KEYS = dict.fromkeys(("title", "config", "sampler", "metric"), str) | dict.fromkeys(LEAST, int)


@dataclass(frozen=True)
class Rules:
    """What the file of a contest says.

    Attributes:
        config: the network and the data that all teams have.
        parameters, evaluations: what the network may have, and how often it may be asked an image.
        sampler, steps: how images are drawn, as `sample.py --sampler --steps` does.
        samples: how many.
        metric: "fid" of LeNet's features, or "accuracy".
    """

    title: str
    config: Config
    values: dict[str, Any]  # of the config, as a worker takes them
    parameters: int
    evaluations: int
    sampler: str
    steps: int
    samples: int
    metric: str


def read_rules(file: Path) -> Rules:
    """Read the file of a contest; raises InputError where it has mistakes."""
    found = read_yaml(file)
    if not isinstance(found, dict):
        raise InputError(f"{file} must have the keys {', '.join(KEYS)}")
    for key, problem in key_problems(found, KEYS, {}):
        raise InputError(f"{file}: {key}: {problem}")
    for key, least in LEAST.items():
        if found[key] < least:
            raise InputError(f"{file}: {key} must be at least {least}")
    for key, known in (("metric", METRICS), ("sampler", NAMES)):
        if found[key] not in known:
            hint = did_you_mean(found[key], known) or f"; choose {', '.join(known)}"
            raise InputError(f"{file}: there is no {key} '{found[key]}'{hint}")
    path = file.parent / found["config"]
    if not path.is_file():
        raise InputError(f"{file}: config: there is no file {path}")
    values = read_yaml(path)
    return Rules(
        **{**found, "config": from_dict(values, path.parent, source=str(path)), "values": values}
    )

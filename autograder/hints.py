"""The hints of hints.yaml: what to look at, by the id that a finding carries."""

from functools import cache
from pathlib import Path

import yaml

HINTS = Path(__file__).with_name("hints.yaml")


@cache
def hints() -> dict[str, str]:
    """All hints by id."""
    with HINTS.open(encoding="utf-8") as file:
        return {key: " ".join(text.split()) for key, text in yaml.safe_load(file).items()}


def hint_text(hint_id: str) -> str:
    """The hint of an id; empty where there is none."""
    return hints().get(hint_id, "")

"""Names of files in feedback zips, as Canvas and Moodle read them when they look for people."""

import re


def canvas_finds(name: str) -> tuple[str, str]:
    """User and upload, as Canvas's infer_comment_context_from_filename reads a name."""
    numbers = [part for part in name.split("_") if re.fullmatch(r"\d+", part)]
    assert len(numbers) >= 2
    assert not name.split("_")[-1].startswith("link")
    return numbers[0], numbers[1]


def moodle_finds(path: str) -> tuple[int, str]:
    """Participant and file name, as Moodle's is_valid_filename_for_import reads a path."""
    parts = path.split("/")
    assert not parts[-1].startswith((".", "~"))
    while parts:
        found = parts.pop(0).split("_", 4)
        if len(found) < 4 or not found[1].isdigit():
            continue
        assert found[2:4] == ["assignfeedback", "file"]
        return int(found[1]), "/".join([*found[4:], *parts]).lstrip("/")
    raise AssertionError(f"no participant in {path}")

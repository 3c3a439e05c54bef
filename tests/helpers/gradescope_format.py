"""results.json as Gradescope documents it."""

# https://gradescope-autograders.readthedocs.io/en/latest/specs/#output-format
FORMATS = {"text", "html", "simple_format", "md", "ansi"}
VISIBILITY = {"hidden", "after_due_date", "after_published", "visible"}
NUMBER = (int, float)
TOP = {
    "score": NUMBER, "execution_time": NUMBER, "output": str, "output_format": FORMATS,
    "test_output_format": FORMATS, "test_name_format": FORMATS, "visibility": VISIBILITY,
    "stdout_visibility": VISIBILITY, "extra_data": dict, "tests": list, "leaderboard": list,
}  # fmt: skip
TEST = {
    "score": NUMBER, "max_score": NUMBER, "status": {"passed", "failed"}, "name": str,
    "name_format": FORMATS, "number": str, "output": str, "output_format": FORMATS, "tags": list,
    "visibility": VISIBILITY, "extra_data": dict,
}  # fmt: skip


def check_fields(values: dict, documented: dict) -> None:
    """Each field is documented, and its value of a kind that is."""
    for key, value in values.items():
        assert key in documented, f"Gradescope documents no field {key}"
        allowed = documented[key]
        ok = value in allowed if isinstance(allowed, set) else isinstance(value, allowed)
        assert ok, (key, value)

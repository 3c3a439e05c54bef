"""The leaderboard of a contest, which names nobody, and the results with names."""

import hashlib
import secrets
from pathlib import Path

from autograder.course.tables import as_csv, cell
from autograder.output.pages import render
from autograder.text import write_text

from instructor.contests.judge import Entry
from instructor.contests.rules import METRICS, Rules

TEMPLATE = Path(__file__).with_name("leaderboard.html")
TOP, NEIGHBOURS = 3, 1  # on a team's own page


def ranked(entries: list[Entry], metric: str) -> list[Entry]:
    """Those that take part, the best first; equal ones by name."""
    sign = METRICS[metric]
    own = [entry for entry in entries if not entry.refused]
    return sorted(own, key=lambda entry: (sign * getattr(entry, metric), entry.team))


def write(entries: list[Entry], rules: Rules, out: Path) -> None:
    """Write public/leaderboard.html, a page a team in public/places, and results.csv with names.

    Pages of teams that no longer take part are removed.
    """
    public = out / "public"
    (public / "places").mkdir(parents=True, exist_ok=True)
    secret = out / "secret.txt"  # so that aliases stay the same, and nobody can compute them
    if not secret.exists():
        write_text(secret, secrets.token_hex(16) + "\n")
    salt = secret.read_text(encoding="utf-8")
    for entry in entries:
        entry.alias = hashlib.sha256((salt + entry.team).encode(errors="replace")).hexdigest()[:12]
    order = ranked(entries, rules.metric)
    numbered = list(enumerate(order, 1))
    values = {"title": rules.title, "metric": rules.metric, "total": len(order)}
    top = render(TEMPLATE, rows=numbered[:10], own=None, refused="", **values)
    write_text(public / "leaderboard.html", top)
    places = {entry.alias: place for place, entry in numbered}
    for old in (public / "places").glob("*.html"):
        if old.stem not in {entry.alias for entry in entries}:
            old.unlink()
    for entry in entries:
        place = places.get(entry.alias, 0)
        near = [
            (n, one) for n, one in numbered if n <= TOP or (place and abs(n - place) <= NEIGHBOURS)
        ]
        page = render(TEMPLATE, rows=near, own=entry, refused=entry.refused, **values)
        write_text(public / "places" / f"{entry.alias}.html", page)
    rows = [["place", "team", "alias", "fid", "accuracy", "evaluations", "refused"]]
    for entry in [*order, *(entry for entry in entries if entry.refused)]:
        scores = [f"{entry.fid:.3f}", f"{entry.accuracy:.4f}", f"{entry.evaluations:g}"]
        scores = [""] * 3 if entry.refused else scores
        who = [str(places.get(entry.alias, "")), cell(entry.team), entry.alias]
        rows.append([*who, *scores, cell(entry.refused)])
    write_text(out / "results.csv", as_csv(rows))

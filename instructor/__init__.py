"""Running the course: cuts the starter, measures the grader, holds a contest; see README.md."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # of the repository

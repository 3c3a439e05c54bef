"""Write the public tests' goldens, autograder/checks/goldens.npz: python instructor/goldens.py

Inputs and expected values are stored, never a seed: random streams change between versions. Run it
again when a case, an oracle or the catalogue of mistakes changes.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from autograder.output.ending import run_command
from autograder.text import not_installed

try:
    from autograder.checks.cases import GOLDENS, save_goldens
    from autograder.hidden.oracles import make_cases
except ImportError as error:
    print(f"error: {not_installed(error)}", file=sys.stderr)
    sys.exit(2)

SEED = 771


def main() -> None:
    """Write the file, and say how large it is."""
    argparse.ArgumentParser(description="Write the public tests' goldens.").parse_args()
    save_goldens(make_cases(SEED))
    print(f"wrote {GOLDENS}, {GOLDENS.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    run_command(main)

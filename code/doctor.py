"""Look a run over, and say what is off: python doctor.py ../logs/RUN

It looks at the model's own functions with a network that knows the answer, at the data, at the
network's error by tenths of the noise level beside that of healthy runs, and at samples. It says
what it saw and where to look.
"""

import argparse
from pathlib import Path

from libs.runtime import cli


def main() -> None:
    parser = argparse.ArgumentParser(description="Look a run over, and say what is off.")
    parser.add_argument("checkpoint", help="a .pth file, or a run folder for its newest one")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    cli.add_debug_flag(parser)
    args = parser.parse_args()

    from libs.doctor.visit import visit
    from libs.runtime.device import pick_device

    print(visit(Path(args.checkpoint), pick_device([args.device])))


if __name__ == "__main__":
    cli.run(main)

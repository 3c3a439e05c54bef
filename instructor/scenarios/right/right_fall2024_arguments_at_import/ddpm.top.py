import argparse

parser = argparse.ArgumentParser()
parser.add_argument("config")
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--eps", type=float, default=1e-12)
ARGS = parser.parse_args()

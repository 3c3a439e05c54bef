import os

CHANGED = {
    "PYTHONPATH": os.path.dirname(__file__),
    "PYTEST_ADDOPTS": "--collect-only",
    "LD_PRELOAD": "/nonexistent.so",
    "PATH": "/nonexistent",
    "HOME": "/nonexistent",
    "PYTHONSTARTUP": __file__,
    "OMP_NUM_THREADS": "999999",
}
os.environ.update(CHANGED)


def answer(name, self, args):
    os.environ.clear()
    return args[0]

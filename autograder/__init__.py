"""The autograder: grades submissions without ever running their code in its own process."""

import os

# The judge's arrays are small: a second NumPy thread would only spin, and keep a core busy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

"""The autograder: judges submissions without ever running their code in its own process."""

import os

# The judge's arrays are small: a second thread of NumPy's only waits, and takes a core to do so.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

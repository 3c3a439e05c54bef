import contextlib

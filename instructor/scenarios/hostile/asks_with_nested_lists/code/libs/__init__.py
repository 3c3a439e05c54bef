from . import trick  # noqa: F401

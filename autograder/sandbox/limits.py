"""What a worker may use, and the sandbox's error. Judge and worker import it; it needs no torch."""

from dataclasses import dataclass

MAX_ENTRIES = 4096  # files and folders in a worker's scratch folder


@dataclass(frozen=True)
class Limits:
    """Limits of a worker; one that exceeds them is stopped, or gets an error from the system."""

    seconds: float = 120.0  # wall-clock time of the worker's whole life
    cpu_seconds: int = 120  # processor time
    memory_mb: int = 3000  # resident, of all its processes together
    processes: int = 128  # processes and threads together
    file_mb: int = 16  # size of one file
    disk_mb: int = 64  # all files in its scratch folder
    log_kb: int = 256  # most that is kept of stdout and stderr
    open_files: int = 256


class SandboxError(Exception):
    """A worker could not be started, for a reason that is not the submission's fault."""

"""Weights of published networks: found by path, or downloaded once and checked."""

import re
import urllib.request
from pathlib import Path

from ..utils import ROOT, UserError, replacing, shown
from .hashes import hash_of_file
from .progress import progress_bar, say

PRETRAINED = ROOT / "pretrained"
SECONDS = 30  # that a server may be silent
CHUNK = 1 << 20


def weights_file(url: str, given: Path | None, flag: str, folder: Path = PRETRAINED) -> Path:
    """A file of weights on the disk.

    Args:
        url: where the file can be had; its name ends in the first digits of its SHA-256.
        given: a file that the user names, taken as it is; None looks in `folder` for the name in
            the URL, and downloads it where it is missing.
        flag: the flag for `given`, for messages.
        folder: where downloads go.

    Raises:
        UserError: the file is missing and cannot be downloaded, or it is another one than its name
            says.
    """
    path = local_weights(url, given, flag, folder)
    if path is None:
        path = folder / _name(url)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                _download(url, partial)
                _check_hash(partial, path.name)
        except OSError as error:
            raise UserError(
                f"{shown(path)} is missing and could not be downloaded from {url} ({error}): get "
                f"it on another machine, or name it with {flag} FILE"
            ) from None
    return path


def local_weights(
    url: str, given: Path | None, flag: str, folder: Path = PRETRAINED
) -> Path | None:
    """As `weights_file`, but None where a download would be needed."""
    if given is not None:
        if not given.is_file():
            raise UserError(f"{flag}: there is no file {given}")
        return given
    path = folder / _name(url)
    if not path.is_file():
        return None
    _check_hash(path, path.name)
    return path


def _name(url: str) -> str:
    return url.rsplit("/", 1)[1]


def _download(url: str, path: Path) -> None:
    say(f"downloading {url}")
    opener = urllib.request.build_opener()  # urlopen would keep the proxies of its first call
    with opener.open(url, timeout=SECONDS) as reply, path.open("wb") as file:
        size = int(reply.headers.get("Content-Length", 0))
        with progress_bar(size, "downloading", "byte") as bar:
            while chunk := reply.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))


def _check_hash(path: Path, name: str) -> None:
    expected = re.search(r"-([0-9a-f]{8})\.pth$", name)[1]
    found = hash_of_file(path)
    if not found.startswith(expected):
        raise UserError(
            f"{name} is not the file that it should be: its SHA-256 begins with {found[:8]}, not "
            f"{expected}; a download was cut short or changed, so delete the file and try again"
        )

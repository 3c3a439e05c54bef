"""Zips that are the same bytes for the same files."""

import io
import zipfile
from collections.abc import Collection, Mapping

OLDEST = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can hold


def zipped(files: Mapping[str, bytes], executable: Collection[str] = ()) -> bytes:
    """A zip of files, {name: content}, in the order of their names.

    Args:
        executable: names of those that are programs.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, OLDEST)
            entry.create_system = 3  # Unix, whose permissions follow
            entry.external_attr = (0o100755 if name in executable else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return out.getvalue()

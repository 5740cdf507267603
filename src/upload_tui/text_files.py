"""Reads small text files that people or this program wrote."""

import errno
import os
from pathlib import Path

__all__ = ["MAX_BYTES", "read_text"]

MAX_BYTES = 4_000_000
"""More than any file of settings, certificates or choices has."""


def read_text(file: Path) -> str:
    """Read a file of UTF-8 text, with or without a byte order mark. A pipe is read to its end.

    Raises:
        OSError: it cannot be read, or is too large.
        UnicodeDecodeError: it is not UTF-8.
    """
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(file))
    return content.decode("utf-8-sig")

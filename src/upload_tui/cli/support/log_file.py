"""The log file of `--debug`: readable by its owner only; text from outside cannot imitate a line of the log."""

import logging
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from upload_tui.files import make_private_folder, private_opener
from upload_tui.text import sanitize_text

__all__ = ["open_log"]


_MAX_BYTES = 1_000_000


class _PrivateHandler(RotatingFileHandler):
    """Writes a file that only its owner can read."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", opener=private_opener)


class _SanitizingFormatter(logging.Formatter):
    """Sanitizes each line, and indents the lines that continue an entry."""

    def format(self, record: logging.LogRecord) -> str:
        return sanitize_text(super().format(record).rstrip("\n")).replace("\n", "\n    ")


def open_log(file: Path) -> None:
    """Write what the program and its libraries log to a file, which is rotated.

    Raises:
        OSError: it cannot be written.
    """
    make_private_folder(file.parent)
    handler = _PrivateHandler(file, maxBytes=_MAX_BYTES, backupCount=1, encoding="utf-8")
    handler.setFormatter(_SanitizingFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.raiseExceptions = False  # a full disk loses lines of the log, and prints no traceback for each
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)

"""What `--debug` adds: a log file of the requests and the retries, and an error's traceback. Made by `commands`."""

import logging
import traceback
from pathlib import Path

import click

__all__ = ["DebugLog"]

_MAX_BYTES = 1_000_000


class DebugLog:
    """A log file; where none can be written, standard error has to do.

    Neither tokens nor answers are logged: requests are named by their method, URL and status.
    """

    def __init__(self) -> None:
        self.file = self._open()

    def write_error(self, error: BaseException) -> None:
        """Show an error's traceback, and say where the log is."""
        text = "".join(traceback.format_exception(error))
        logging.getLogger("upload_tui").error("%s", text)
        click.echo(text, err=True, nl=False)
        if self.file is not None:
            click.echo(f"upload-tui: the log is in {self.file}", err=True)

    @staticmethod
    def _open() -> Path | None:
        from logging.handlers import RotatingFileHandler

        from upload_tui.locations import log_folder

        file = log_folder() / "upload-tui.log"
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handler = RotatingFileHandler(file, maxBytes=_MAX_BYTES, backupCount=1, encoding="utf-8")
        except OSError as error:
            click.echo(f"upload-tui: no log is kept: {file} cannot be written ({error.strerror}).", err=True)
            return None
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        root = logging.getLogger()
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        return file

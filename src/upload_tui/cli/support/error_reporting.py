"""How a command ends: errors on standard error, exit codes; tracebacks and the log file only with `--debug`."""

import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from upload_tui.cli.support.signals import has_received_signal
from upload_tui.cli.support.streams import OutputLostError, output_error
from upload_tui.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    InternalError,
    QueryError,
    StorageError,
    UploadTuiError,
    UsageError,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DebugLog", "open_log", "run_reported"]

_MAX_LOG_BYTES = 1_000_000
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})


def open_log(file: "Path") -> None:
    """Write what the program and its libraries log to a file that only its owner can read, and that is rotated.

    Text from outside cannot imitate a line of the log: lines that continue an entry are indented.

    Raises:
        OSError: it cannot be written.
    """
    import logging  # here, as are the classes, because each start imports this module
    from io import TextIOWrapper
    from logging.handlers import RotatingFileHandler

    from upload_tui.files import make_private_folder, private_opener
    from upload_tui.text import sanitize_text

    class PrivateHandler(RotatingFileHandler):
        def _open(self) -> TextIOWrapper:
            return open(self.baseFilename, "a", encoding="utf-8", opener=private_opener)

        def format(self, record: logging.LogRecord) -> str:
            return sanitize_text(super().format(record).rstrip("\n")).replace("\n", "\n    ")

    make_private_folder(file.parent)
    handler = PrivateHandler(file, maxBytes=_MAX_LOG_BYTES, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.raiseExceptions = False  # a full disk loses lines of the log, and prints no traceback for each
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)


class DebugLog:
    """The log file of `--debug`: requests, retries and tracebacks. If it fails, tracebacks go to standard error.

    Neither tokens nor responses are logged: a request is named by its method, URL and status.
    """

    def __init__(self) -> None:
        self._file = self._open()

    def write_error(self, error: BaseException) -> None:
        """Log an error's traceback, print it, and name the log file."""
        import logging
        import textwrap
        import traceback

        from upload_tui.cli.support.output import echo_message
        from upload_tui.text import sanitize_text

        text = "".join(traceback.format_exception(error))
        logging.getLogger("upload_tui").error("%s", text)
        # Indented, so that a line of an error's text does not look like a message of the program.
        click.echo(textwrap.indent(sanitize_text(text), "  "), err=True, nl=False)
        if self._file is not None:
            echo_message(f"the log is in {self._file}")

    @staticmethod
    def _open() -> "Path | None":
        from upload_tui.cli.support.output import echo_message
        from upload_tui.files import log_folder

        file = log_folder() / "upload-tui.log"
        try:
            open_log(file)
        except OSError as error:
            echo_message(f"no log: {file} cannot be written ({error.strerror}).")
            return None
        return file


def run_reported(command: Callable[[], object], log: DebugLog | None = None) -> int:
    """Run a command, report its error, and return the exit code.

    If the command could not write standard output, that is reported too, and is the error if there is no other.

    Args:
        command: what to run; an integer that it returns is the exit code.
        log: where tracebacks go; None without `--debug`.
    """
    code = _run(command, log)
    lost = output_error()
    lost_code = EXIT_OK if lost is None else _report(lost, log)
    return code or lost_code


def _run(command: Callable[[], object], log: DebugLog | None) -> int:
    try:
        result = command()
        sys.stdout.flush()
    except OutputLostError:
        return EXIT_OK
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return EXIT_USAGE
    except UploadTuiError as error:
        return _report(error, log)
    except (KeyboardInterrupt, click.Abort):
        if sys.stderr.isatty():  # end the line on which the terminal printed ^C
            click.echo(err=True)
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  # a traceback's own exit code, 1, would mean a failed upload
        if has_received_signal():  # it may have interrupted what cannot be interrupted, such as the start of a thread
            return EXIT_INTERRUPTED
        return _report(_unexpected(error), log)
    return result if isinstance(result, int) else EXIT_OK


def _unexpected(error: Exception) -> UploadTuiError:
    """The error of an unexpected exception: an internal one, unless a group has an error of ours, or a word is not UTF-8 text."""
    from upload_tui.files import is_utf8
    from upload_tui.text import sanitize_line

    internal = InternalError.from_exception(error)
    if isinstance(internal.__cause__, UploadTuiError):  # of a task group
        return internal.__cause__
    if isinstance(internal.__cause__, OSError) and internal.__cause__.errno in _TOO_MANY_FILES:
        return StorageError("Too many files are open", "Raise the limit (ulimit -n).")
    if not isinstance(internal.__cause__, UnicodeEncodeError):
        return internal
    numbers = [str(number) for number, word in enumerate(sys.argv) if number and not is_utf8(word)]
    names = [name for name, value in os.environ.items() if not is_utf8(name + value)]
    if not numbers and not names:
        return internal
    where = f"Argument {', '.join(numbers)}" if numbers else f"The variable {sanitize_line(names[0])}"
    return UsageError(f"{where} is not UTF-8 text", "Check the encoding of the terminal.")


def _report(error: UploadTuiError, log: DebugLog | None) -> int:
    if log is not None:
        log.write_error(error)
    click.echo(f"upload-tui: {_with_period(error.title)}", err=True)
    if isinstance(error, QueryError):
        click.echo("\n".join(_marked_query(error)), err=True)
    elif error.hint:
        click.echo(f"  {_with_period(error.hint)}", err=True)
    return error.exit_code


_QUERY_CHARACTERS = 60
"""More of a query than this is cut on both sides of the mistake."""


def _marked_query(error: QueryError) -> Sequence[str]:
    """A query, and below it a caret at the mistake, with the hint."""
    from rich.cells import cell_len

    from upload_tui.text import sanitize

    start = max(0, error.position - _QUERY_CHARACTERS // 2)
    before = ("…" if start else "") + sanitize(error.text[start : error.position])
    after = sanitize(error.text[error.position : start + _QUERY_CHARACTERS])
    end = "…" if len(error.text) > start + _QUERY_CHARACTERS else ""
    hint = f" {_with_period(error.hint)}" if error.hint else ""
    return f"  {before}{after}{end}", f"  {' ' * cell_len(before)}^{hint}"


def _with_period(text: str) -> str:
    from upload_tui.text import sanitize_line

    line = sanitize_line(text)
    return line if line.endswith("?") else f"{line}."

"""Reports errors on standard error, one or two lines each, and turns them into exit codes. Tracebacks only with `--debug`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from upload_tui.cli.support.streams import OutputLostError, output_error
from upload_tui.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, InternalError, UploadTuiError, UsageError
from upload_tui.text import sanitize_line, sanitize_text

__all__ = ["DebugLog", "run_reported"]


class DebugLog:
    """The log file of `--debug`: requests, retries and tracebacks. Where it cannot be written, standard error has to do.

    Neither tokens nor responses are logged: a request is named by its method, URL and status.
    """

    def __init__(self) -> None:
        self._file = self._open()

    def write_error(self, error: BaseException) -> None:
        """Log an error's traceback, print it, and name the log file."""
        import logging
        import textwrap
        import traceback

        from upload_tui.cli.support.output import echo_err

        text = "".join(traceback.format_exception(error))
        logging.getLogger("upload_tui").error("%s", text)
        # Indented, so that a line of an error's text cannot pass for a message of the program.
        click.echo(textwrap.indent(sanitize_text(text), "  "), err=True, nl=False)
        if self._file is not None:
            echo_err(f"upload-tui: the log is in {self._file}")

    @staticmethod
    def _open() -> Path | None:
        from upload_tui.cli.support.log_file import open_log
        from upload_tui.cli.support.output import echo_err
        from upload_tui.locations import log_folder

        file = log_folder() / "upload-tui.log"
        try:
            open_log(file)
        except OSError as error:
            echo_err(f"upload-tui: no log: {file} cannot be written ({error.strerror}).")
            return None
        return file


def run_reported(command: Callable[[], object], log: DebugLog | None = None) -> int:
    """Run a command, report its error, and return the exit code.

    A command that found out nothing else, but could not write standard output, ends with that error.

    Args:
        command: what to run; an integer that it returns is the exit code.
        log: where tracebacks go; None without `--debug`.
    """
    code = _run(command, log)
    lost = output_error()
    return _report(lost, log) if code == EXIT_OK and lost is not None else code


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
        return _report(_unexpected(error), log)
    return result if isinstance(result, int) else EXIT_OK


def _unexpected(error: Exception) -> UploadTuiError:
    """An internal error, unless an argument is not text: most of what it is used for fails."""
    internal = InternalError.from_exception(error)
    if not isinstance(internal.__cause__, UnicodeEncodeError):
        return internal
    numbers = [str(number) for number, word in enumerate(sys.argv) if number and not _is_text(word)]
    names = [name for name, value in os.environ.items() if not _is_text(name + value)]
    if not numbers and not names:
        return internal
    where = f"Argument {', '.join(numbers)}" if numbers else f"The variable {sanitize_line(names[0])}"
    return UsageError(f"{where} is not UTF-8 text", "Check the encoding of the terminal.")


def _is_text(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _report(error: UploadTuiError, log: DebugLog | None) -> int:
    if log is not None:
        log.write_error(error)
    click.echo(f"upload-tui: {_with_period(error.title)}", err=True)
    if error.hint:
        click.echo(f"  {_with_period(error.hint)}", err=True)
    return error.exit_code


def _with_period(text: str) -> str:
    line = sanitize_line(text)
    return line if line.endswith("?") else f"{line}."

"""The one mouth for errors: one or two lines on standard error, and the documented exit code. Never a traceback unasked."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from upload_tui.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, InternalError, UploadTuiError
from upload_tui.text import sanitize_line

if TYPE_CHECKING:
    from upload_tui.cli.support.debug_log import DebugLog

__all__ = ["run_reported"]


def run_reported(command: Callable[[], object], log: "DebugLog | None" = None) -> int:
    """Run a command; say what went wrong; give the exit code.

    Args:
        command: what to run.
        log: where an error's traceback goes; None if nobody asked for it.
    """
    try:
        result = command()
        sys.stdout.flush()
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return EXIT_USAGE
    except UploadTuiError as error:
        return _report(error, log)
    except (KeyboardInterrupt, click.Abort):
        if sys.stderr.isatty():  # behind the terminal's own ^C
            click.echo(err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _discard_stdout()
    except Exception as error:  # noqa: BLE001  # nobody is above us to tell, and a traceback's own exit code means a failed upload
        return _report(InternalError.from_exception(error), log)
    return result if isinstance(result, int) else EXIT_OK


def _report(error: UploadTuiError, log: "DebugLog | None") -> int:
    if log is not None:
        log.write_error(error)
    click.echo(f"upload-tui: {_with_period(error.title)}", err=True)
    if error.hint:
        click.echo(f"  {_with_period(error.hint)}", err=True)
    return error.exit_code


def _with_period(text: str) -> str:
    line = sanitize_line(text)
    return line if line.endswith("?") else f"{line}."


def _discard_stdout() -> int:
    """Whoever read our output has gone: no more words, and none at the interpreter's end either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_OK

"""The one mouth for errors: one or two lines on standard error, and the documented exit code. Never a traceback unasked."""

import os
import sys
import traceback
from collections.abc import Callable

import click

from upload_tui.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_USAGE, UploadTuiError

__all__ = ["exit_code_of", "harmless_line"]


def exit_code_of(command: Callable[[], object], *, debug: bool = False) -> int:
    """Run a command; say what went wrong; give the exit code."""
    try:
        result = command()
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return EXIT_USAGE
    except UploadTuiError as error:
        return _say(error, debug=debug)
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _close_quietly()
    return result if isinstance(result, int) else EXIT_DONE


def _say(error: UploadTuiError, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    click.echo(f"upload-tui: {harmless_line(error.title)}.", err=True)
    if error.mend:
        click.echo(f"  {harmless_line(error.mend)}.", err=True)
    return error.exit_code


def harmless_line(text: str) -> str:
    """A text from outside on one line, with nothing in it that a terminal obeys."""
    return (
        "".join(character if character.isprintable() else "\ufffd" for character in text[:500]).rstrip(". ") or text[:1]
    )


def _close_quietly() -> int:
    """Whoever read our output has gone: no more words, and none at the interpreter's end either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_DONE

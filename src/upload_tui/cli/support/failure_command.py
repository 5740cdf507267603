"""Runs the command of the setting `on_error` when uploads fail: without a shell, and no data of a service becomes an argument."""

import asyncio
import json
import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from upload_tui.errors import SettingsError
from upload_tui.processes import end_text, run_command

if TYPE_CHECKING:
    from upload_tui.monitor import StageReached
    from upload_tui.tui import CommandResult

__all__ = ["FailureCommand"]

_TIMEOUT_SECONDS = 60.0
_SHELL_WORDS = frozenset({"|", "||", "&&", "&", ";", "<", ">", ">>", "2>", "2>&1"})
_SHELL_HINT = "It runs without a shell: for pipes and redirections, use sh -c '...'."


class FailureCommand:
    """The command of the setting `on_error`.

    Standard input gets the failures as JSON lines, like those of `upload-tui tail`; the environment gets `UPLOAD_TUI_ID`,
    `UPLOAD_TUI_NAME`, `UPLOAD_TUI_PROJECT` and `UPLOAD_TUI_ERROR` of the last one. Output is discarded, because the terminal
    shows the dashboard; the first line on standard error is part of the result. One command runs at a time; after a
    minute, and when the dashboard is left, it is ended with all that it has started.

    Args:
        command: the command and its arguments, quoted as in a shell.

    Raises:
        SettingsError: the command is empty, or a quotation is not closed.
    """

    def __init__(self, command: str) -> None:
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise SettingsError(f"on_error: {error}", "Close the quotation.") from error
        if not self._arguments:
            raise SettingsError("on_error: the command is empty", "Set a command, or remove the key.")
        self._lock = asyncio.Lock()

    async def __call__(self, failures: "Sequence[StageReached]") -> "CommandResult":
        """Run the command for some failures, and return what ran and how it ended."""
        async with self._lock:
            try:
                end = await run_command(
                    self._arguments,
                    timeout_seconds=_TIMEOUT_SECONDS,
                    data=_json_lines(failures),
                    environment={**os.environ, **_environment(failures[-1])},
                )
            except (OSError, ValueError) as error:  # no such file, not executable, or an argument with a NUL in it
                return self._result(f"not started: {getattr(error, 'strerror', None) or error}", is_ok=False)
        if end.code is None:
            return self._result(f"killed after {_TIMEOUT_SECONDS:.0f}s", is_ok=False)
        lines = end.stderr.decode("utf-8", "replace").splitlines()
        message = f": {lines[0].rstrip('.')}" if end.code and lines else ""
        return self._result(f"{end_text(end.code)}{message}", is_ok=end.code == 0)

    def _result(self, end: str, *, is_ok: bool) -> "CommandResult":
        from upload_tui.tui import CommandResult

        hint = "" if is_ok or _SHELL_WORDS.isdisjoint(self._arguments) else f" {_SHELL_HINT}"
        return CommandResult(f"on_error: {self._arguments[0]}: {end}.{hint}", is_ok)  # the arguments may be secrets


def _environment(failure: "StageReached") -> dict[str, str]:
    variables = {
        "UPLOAD_TUI_ID": failure.upload.id,
        "UPLOAD_TUI_NAME": failure.upload.name,
        "UPLOAD_TUI_PROJECT": failure.upload.project_name or failure.upload.project_id,
        "UPLOAD_TUI_ERROR": failure.error_message or "",
    }
    # The environment can hold neither NUL nor a lone surrogate.
    return {name: text.replace("\0", "\ufffd").encode("utf-8", "replace").decode() for name, text in variables.items()}


def _json_lines(failures: "Sequence[StageReached]") -> bytes:
    from upload_tui.monitor import change_record

    return "".join(f"{json.dumps(change_record(failure))}\n" for failure in failures).encode()

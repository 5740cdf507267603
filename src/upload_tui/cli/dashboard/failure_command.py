"""Runs the command of the setting `on_error` when uploads fail: without a shell, and no data of a service becomes an argument."""

import asyncio
import json
import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from upload_tui.errors import SettingsError

if TYPE_CHECKING:
    from upload_tui.monitor import StageReached

__all__ = ["FailureCommand"]

_TIMEOUT_SECONDS = 60.0


class FailureCommand:
    """The command of the setting `on_error`.

    Standard input gets the failures as JSON lines, like those of `upload-tui tail`; the environment gets `UPLOAD_TUI_ID`,
    `UPLOAD_TUI_NAME`, `UPLOAD_TUI_PROJECT` and `UPLOAD_TUI_ERROR` of the last one. Output is discarded, because the terminal
    shows the dashboard. One command runs at a time; it is killed after a minute.

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
            raise SettingsError("on_error: the command is empty", "Name one, or leave the key out.")
        self._lock = asyncio.Lock()

    async def __call__(self, failures: "Sequence[StageReached]") -> None:
        """Run the command for some failures; errors of the command are ignored."""
        async with self._lock:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._arguments,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    env={**os.environ, **_environment(failures[-1])},
                )
            except (OSError, ValueError):  # no such file, not executable, or an argument with a NUL in it
                return
            try:
                await asyncio.wait_for(process.communicate(_json_lines(failures)), _TIMEOUT_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


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

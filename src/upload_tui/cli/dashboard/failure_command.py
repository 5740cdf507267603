"""Runs a person's own command when uploads fail. No shell is involved, and nothing from a service becomes an argument."""

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

    It gets the failures on its standard input, as JSON lines like those of `upload-tui tail`, and of the last one
    `UPLOAD_TUI_ID`, `UPLOAD_TUI_NAME`, `UPLOAD_TUI_PROJECT` and `UPLOAD_TUI_ERROR` in its environment. What it prints is dropped:
    the terminal belongs to the dashboard. One runs at a time; one that does not end within a minute is stopped.

    Args:
        command: the words of the command, quoted as in a shell.

    Raises:
        SettingsError: there is no command in it, or a quotation does not end.
    """

    def __init__(self, command: str) -> None:
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise SettingsError(f"on_error: {error}", "Close the quotation.") from error
        if not self._arguments:
            raise SettingsError("on_error: there is no command", "Name one, or leave the key out.")
        self._lock = asyncio.Lock()

    async def __call__(self, failures: "Sequence[StageReached]") -> None:
        """Run it for these failures; what goes wrong with it is no trouble of the dashboard's."""
        async with self._lock:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._arguments,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    env={**os.environ, **_environment(failures[-1])},
                )
            except (OSError, ValueError):  # not there, not allowed, or a word with a NUL in it
                return
            try:
                await asyncio.wait_for(process.communicate(_json_lines(failures)), _TIMEOUT_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


def _environment(failure: "StageReached") -> dict[str, str]:
    said = {
        "UPLOAD_TUI_ID": failure.upload.id,
        "UPLOAD_TUI_NAME": failure.upload.name,
        "UPLOAD_TUI_PROJECT": failure.upload.project_name or failure.upload.project_id,
        "UPLOAD_TUI_ERROR": failure.error_message or "",
    }
    # The environment can hold neither NUL nor half a surrogate pair.
    return {name: text.replace("\0", "\ufffd").encode("utf-8", "replace").decode() for name, text in said.items()}


def _json_lines(failures: "Sequence[StageReached]") -> bytes:
    from upload_tui.monitor import change_record

    return "".join(f"{json.dumps(change_record(failure))}\n" for failure in failures).encode()

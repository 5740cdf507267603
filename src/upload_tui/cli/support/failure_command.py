"""Runs the command of the setting `on_error` when uploads fail: without a shell, and no data of a service becomes an argument."""

import asyncio
import json
import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from upload_tui.errors import SettingsError

if TYPE_CHECKING:
    from upload_tui.monitor import StageReached
    from upload_tui.tui import CommandResult

__all__ = ["FailureCommand"]

_TIMEOUT_SECONDS = 60.0
_DRAIN_SECONDS = 0.5
"""How long a program that the command left running may keep standard error open."""
_ERROR_BYTES = 4096
_SHELL_WORDS = frozenset({"|", "||", "&&", "&", ";", "<", ">", ">>", "2>", "2>&1"})
_SHELL_HINT = "It runs without a shell: for pipes and redirections, use sh -c '...'."


class FailureCommand:
    """The command of the setting `on_error`.

    Standard input gets the failures as JSON lines, like those of `upload-tui tail`; the environment gets `UPLOAD_TUI_ID`,
    `UPLOAD_TUI_NAME`, `UPLOAD_TUI_PROJECT` and `UPLOAD_TUI_ERROR` of the last one. Output is discarded, because the terminal
    shows the dashboard; the first line on standard error is part of the result. One command runs at a time; it is killed after a
    minute.

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
                process = await asyncio.create_subprocess_exec(
                    *self._arguments,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                    env={**os.environ, **_environment(failures[-1])},
                )
            except (OSError, ValueError) as error:  # no such file, not executable, or an argument with a NUL in it
                return self._result(f"not started: {getattr(error, 'strerror', None) or error}", is_ok=False)
            errors = asyncio.create_task(_first_line(process.stderr))
            try:
                await asyncio.wait_for(_write_input(process, _json_lines(failures)), _TIMEOUT_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
                return self._result(f"killed after {_TIMEOUT_SECONDS:.0f}s", is_ok=False)
            finally:
                await asyncio.wait([errors], timeout=_DRAIN_SECONDS)
                errors.cancel()
            line = errors.result() if errors.done() and not errors.cancelled() else ""
            return self._exit_result(process.returncode or 0, line)

    def _exit_result(self, code: int, error_line: str) -> "CommandResult":
        end = f"ended by signal {-code}" if code < 0 else f"exit code {code}"
        return self._result(f"{end}: {error_line}" if code and error_line else end, is_ok=code == 0)

    def _result(self, end: str, *, is_ok: bool) -> "CommandResult":
        from upload_tui.tui import CommandResult

        hint = "" if is_ok or _SHELL_WORDS.isdisjoint(self._arguments) else f" {_SHELL_HINT}"
        return CommandResult(f"on_error: {self._arguments[0]}: {end}.{hint}", is_ok)  # the arguments may be secrets


async def _write_input(process: asyncio.subprocess.Process, data: bytes) -> None:
    """Write to standard input, close it and wait until the process ends; the process may ignore it."""
    assert process.stdin is not None  # noqa: S101  # it is a pipe
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()
    await process.wait()


async def _first_line(stream: asyncio.StreamReader | None) -> str:
    """The first line of a stream, which is read to its end."""
    assert stream is not None  # noqa: S101  # it is a pipe
    start = b""
    while data := await stream.read(_ERROR_BYTES):  # a program may write a line in several pieces
        start += data[: _ERROR_BYTES - len(start)]
    lines = start.decode("utf-8", "replace").strip().splitlines()
    return lines[0].rstrip(".") if lines else ""


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

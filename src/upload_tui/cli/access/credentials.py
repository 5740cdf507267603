"""The credentials that settings name: a token, a file, a command or a keyring that has one, or a pair of keys."""

import asyncio
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from upload_tui.errors import SettingsError
from upload_tui.processes import ChildProcess, CommandEnd, end_text, last_message, run_command, start_failure_text
from upload_tui.settings import ServiceSettings, read_token_file

if TYPE_CHECKING:
    from upload_tui.client import Credentials

__all__ = ["TokenCommands", "credentials_of"]

_KEYRING_SERVICE = "upload-tui"
_COMMAND_TIMEOUT_SECONDS = 60


def credentials_of(settings: ServiceSettings, commands: "TokenCommands") -> "Credentials":
    """Get the credentials; a file, command or keyring is read now, and again when the service rejects its token.

    Args:
        settings: which of them to use.
        commands: runs a token command.

    Raises:
        SettingsError: the file, command or keyring has no token.
    """
    from upload_tui.client import Credentials

    source = _token_source(settings, commands)
    token = settings.token or (source() if source else "")
    return Credentials(token, settings.agent_key, settings.user_key, source)


def _token_source(settings: ServiceSettings, commands: "TokenCommands") -> Callable[[], str] | None:
    if settings.token_file is not None:
        file = settings.token_file
        return lambda: read_token_file(file)
    if settings.token_command:
        return lambda: commands.token(settings.token_command)
    if settings.token_keyring:
        return lambda: _token_from_keyring(settings.token_keyring)
    return None


class TokenCommands:
    """Runs token commands, each in the thread that asks for its token, without the terminal."""

    def __init__(self) -> None:
        self._running: set[ChildProcess] = set()
        self._is_stopped = False

    def token(self, command: str) -> str:
        """Run a command and return the first word it prints. Its last error message is shown if it fails.

        Raises:
            SettingsError: it fails, prints nothing or takes too long.
        """
        hint = "Run the token_command of the profile by hand."
        try:
            end = asyncio.run(self._run(command))
            words = end.stdout.decode().split() if end.code == 0 else []
        except OSError as error:
            raise SettingsError(f"The token command failed: {start_failure_text(error)}", hint) from error
        except ValueError as error:
            # Without the error as its cause: that quotes the command, which may contain a secret.
            reason = "its output is not text" if isinstance(error, UnicodeDecodeError) else "it cannot be run"
            raise SettingsError(f"The token command failed ({reason})", hint) from None
        if end.code is None:
            raise SettingsError(f"The token command failed (not ended after {_COMMAND_TIMEOUT_SECONDS}s)", hint)
        if end.code:
            reason = last_message(end.stderr.decode("utf-8", "replace")) or "no message"
            raise SettingsError(f"The token command failed ({end_text(end.code)}): {reason}", hint)
        if not words:
            raise SettingsError("The token command printed nothing", hint)
        return words[0]

    def stop(self) -> None:
        """Kill the commands that still run, with the processes that they started."""
        self._is_stopped = True
        for child in tuple(self._running):
            child.kill()

    async def _run(self, command: str) -> CommandEnd:
        started: list[ChildProcess] = []

        def add(child: ChildProcess) -> None:
            started.append(child)
            self._add(child)

        try:
            return await run_command(
                shlex.split(command), timeout_seconds=_COMMAND_TIMEOUT_SECONDS, keeps_last_errors=True, on_start=add
            )
        finally:
            self._running.difference_update(started)

    def _add(self, child: ChildProcess) -> None:
        self._running.add(child)
        if self._is_stopped:
            child.kill()


def _token_from_keyring(name: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise SettingsError(
            "token_keyring needs the keyring library", "Install it: pip install 'upload-tui[keyring]'."
        ) from error
    try:
        token = keyring.get_password(_KEYRING_SERVICE, name)
    except KeyringError as error:
        raise SettingsError(f"The keyring cannot be read: {error}", "Unlock it, or use a token_command.") from error
    if not token:
        raise SettingsError(
            f"The keyring has no token for {name}", f"Store one: keyring set {_KEYRING_SERVICE} {name}."
        )
    return str(token).strip()

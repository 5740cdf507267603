"""The credentials that settings name: a token, a file, a command or a keyring that has one, or a pair of keys."""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from upload_tui.errors import SettingsError
from upload_tui.settings import ServiceSettings, read_token_file

if TYPE_CHECKING:
    from upload_tui.client import Credentials

__all__ = ["KEYRING_SERVICE", "TokenCommands", "credentials_of"]

KEYRING_SERVICE = "upload-tui"
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
    """Runs token commands without the terminal: they cannot read from it or write on the dashboard."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()

    def token(self, command: str) -> str:
        """Run a command and return the first word it prints. Its last error message is shown if it fails.

        Raises:
            SettingsError: it fails, prints nothing or takes too long.
        """
        hint = "Run the token_command of the profile by hand."
        try:
            code, printed, errors = self._run(shlex.split(command))
        except OSError as error:
            raise SettingsError(f"The token command failed: {error.strerror}", hint) from error
        except (ValueError, subprocess.SubprocessError) as error:
            # Without the error as its cause: that quotes the command, which may contain a secret.
            raise SettingsError(f"The token command failed ({_reason(error)})", hint) from None
        if code:
            reason = (errors.strip().splitlines() or ["no message"])[-1]
            raise SettingsError(f"The token command failed with exit code {code}: {reason}", hint)
        words = printed.split()
        if not words:
            raise SettingsError("The token command printed nothing", hint)
        return words[0]

    def stop(self) -> None:
        """Kill the commands that still run, with the processes that they started."""
        for process in tuple(self._running):
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)

    def _run(self, arguments: Sequence[str]) -> tuple[int, str, str]:
        process = subprocess.Popen(  # noqa: S603  # the user's own command, from their own settings
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # without it, the command could open the terminal
        )
        with process:
            self._running.add(process)
            try:
                printed, errors = process.communicate(timeout=_COMMAND_TIMEOUT_SECONDS)
            except BaseException:
                self.stop()
                raise
            finally:
                self._running.discard(process)
        return process.returncode, printed, errors


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"not ended after {_COMMAND_TIMEOUT_SECONDS}s"
    return "its output is not text"


def _token_from_keyring(name: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise SettingsError(
            "token_keyring needs the keyring library", "Install it: pip install 'upload-tui[keyring]'."
        ) from error
    try:
        token = keyring.get_password(KEYRING_SERVICE, name)
    except KeyringError as error:
        raise SettingsError(f"The keyring cannot be read: {error}", "Unlock it, or use a token_command.") from error
    if not token:
        raise SettingsError(f"The keyring has no token for {name}", f"Store one: keyring set {KEYRING_SERVICE} {name}.")
    return str(token).strip()

"""The credentials that settings name: a token, a file, a command or a keyring that has one, or a pair of keys."""

import shlex
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from upload_tui.errors import SettingsError
from upload_tui.settings import ServiceSettings, read_token_file

if TYPE_CHECKING:
    from upload_tui.client import Credentials

__all__ = ["KEYRING_SERVICE", "credentials_of"]

KEYRING_SERVICE = "upload-tui"
_COMMAND_TIMEOUT_SECONDS = 60


def credentials_of(settings: ServiceSettings) -> "Credentials":
    """Get the credentials; a file, command or keyring is read now, and again when the service rejects its token.

    Raises:
        SettingsError: the file, command or keyring has no token.
    """
    from upload_tui.client import Credentials

    source = _token_source(settings)
    token = settings.token or (source() if source else "")
    return Credentials(token, settings.agent_key, settings.user_key, source)


def _token_source(settings: ServiceSettings) -> Callable[[], str] | None:
    if settings.token_file is not None:
        file = settings.token_file
        return lambda: read_token_file(file)
    if settings.token_command:
        return lambda: _token_from_command(settings.token_command)
    if settings.token_keyring:
        return lambda: _token_from_keyring(settings.token_keyring)
    return None


def _token_from_command(command: str) -> str:
    """Run the token command and return the first word it prints. Its standard error goes to the terminal, its output never."""
    hint = "Run the token_command of the profile by hand."
    try:
        done = subprocess.run(  # noqa: S603  # the user's own command, from their own settings
            shlex.split(command), stdout=subprocess.PIPE, timeout=_COMMAND_TIMEOUT_SECONDS, check=True, text=True
        )
    except OSError as error:
        raise SettingsError(f"The token command failed: {error.strerror}", hint) from error
    except (ValueError, subprocess.SubprocessError) as error:
        # Without the error as its cause: that quotes the command, which may contain a secret.
        raise SettingsError(f"The token command failed ({_reason(error)})", hint) from None
    words = done.stdout.split()
    if not words:
        raise SettingsError("The token command printed nothing", hint)
    return words[0]


def _reason(error: Exception) -> str:
    match error:
        case subprocess.CalledProcessError():
            return f"exit code {error.returncode}"
        case subprocess.TimeoutExpired():
            return f"not ended after {_COMMAND_TIMEOUT_SECONDS}s"
        case _:
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

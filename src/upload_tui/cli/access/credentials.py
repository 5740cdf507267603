"""The credentials that settings name: a token, a file, a command or a keyring that has one, or a pair of keys."""

import shlex
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from upload_tui.errors import SettingsError
from upload_tui.processes import end_text, last_message, run_command, start_failure_text
from upload_tui.settings import ServiceSettings, read_token_file
from upload_tui.threads import run_in_thread

if TYPE_CHECKING:
    from upload_tui.client import Credentials

__all__ = ["credentials_of"]

_KEYRING_SERVICE = "upload-tui"
_COMMAND_TIMEOUT_SECONDS = 60


async def credentials_of(settings: ServiceSettings) -> "Credentials":
    """Get the credentials; a file, command or keyring is read now, and again when the service rejects its token.

    Raises:
        SettingsError: the file, command or keyring has no token.
    """
    from upload_tui.client import Credentials

    source = _token_source(settings)
    token = settings.token or (await source() if source else "")
    return Credentials(token, settings.agent_key, settings.user_key, source)


def _token_source(settings: ServiceSettings) -> Callable[[], Coroutine[Any, Any, str]] | None:
    if settings.token_file is not None:
        return partial(run_in_thread, read_token_file, settings.token_file)
    if settings.token_command:
        return partial(_token_of_command, settings.token_command)
    if settings.token_keyring:
        return partial(run_in_thread, _token_from_keyring, settings.token_keyring)
    return None


async def _token_of_command(command: str) -> str:
    """Run a command without the terminal and return the first word it prints. Its last error message is shown if it fails.

    Raises:
        SettingsError: it fails, prints nothing or takes too long.
    """
    hint = "Run the token_command of the profile by hand."
    try:
        end = await run_command(shlex.split(command), timeout_seconds=_COMMAND_TIMEOUT_SECONDS, keeps_last_errors=True)
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

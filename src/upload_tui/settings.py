"""Settings: what the command line, the environment and the defaults say, in that order; read once, then frozen.

Only `cli` sees settings. Secrets are never part of a `repr`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from upload_tui.errors import SettingsError

__all__ = ["ServiceSettings", "read_settings"]


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Which service, which projects (ids or names; none means all that the account sees), and how to be let in."""

    url: str
    projects: tuple[str, ...] = ()
    token: str = field(default="", repr=False)
    agent_key: str = field(default="", repr=False)
    user_key: str = field(default="", repr=False)


def read_settings(
    environment: Mapping[str, str],
    *,
    url: str | None = None,
    projects: Sequence[str] = (),
    token_file: Path | None = None,
    insecure_http: bool = False,
) -> ServiceSettings:
    """Put the settings together; flags go before variables.

    Args:
        environment: the process's variables; `UPLOAD_TUI_URL`, `_PROJECT`, `_TOKEN`, `_AGENT_KEY` and `_USER_KEY` are looked at.
        url: of the flag.
        projects: of the flag or the arguments.
        token_file: a file whose first line is the token.
        insecure_http: let plain `http://` go to other machines.

    Raises:
        SettingsError: something needed is missing, or cannot be.
    """
    wanted = url or environment.get("UPLOAD_TUI_URL", "")
    if not wanted:
        raise SettingsError(
            "No service is named", "Try `upload-tui demo`, or name one with --url and --project (or UPLOAD_TUI_URL)."
        )
    _check_url(wanted, insecure_http=insecure_http)
    named = environment.get("UPLOAD_TUI_PROJECT", "")
    return ServiceSettings(
        url=wanted,
        projects=tuple(projects) or ((named,) if named else ()),
        token=_token(environment, token_file),
        agent_key=environment.get("UPLOAD_TUI_AGENT_KEY", ""),
        user_key=environment.get("UPLOAD_TUI_USER_KEY", ""),
    )


def _check_url(url: str, *, insecure_http: bool) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise SettingsError(f"{url} is not a URL", "Give one like https://dds.example.org.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise SettingsError(f"{url} is not a URL of a service", "Give one like https://dds.example.org.")
    if parts.scheme == "http" and not insecure_http and not _is_loopback(host):
        raise SettingsError(
            f"{url} would send the token unprotected over the network", "Use https://, or add --insecure-http."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _token(environment: Mapping[str, str], token_file: Path | None) -> str:
    if token_file is None:
        return environment.get("UPLOAD_TUI_TOKEN", "").strip()
    try:
        lines = token_file.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The token file {token_file} cannot be read", "Check its path and its permissions."
        ) from error
    if not lines:
        raise SettingsError(f"The token file {token_file} is empty", "Put the token on its first line.")
    return lines[0]

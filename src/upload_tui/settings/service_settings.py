"""Settings: defaults, then a profile, then the environment, then flags, each before the last; read once, then frozen.

Only `cli` sees settings. Secrets are never part of a `repr`. Importing this imports no pydantic; a profile does, and a variable that
not every text will do for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from upload_tui.errors import SettingsError

if TYPE_CHECKING:
    from upload_tui.settings.profiles import SettingsFile

__all__ = [
    "COMMAND_LINE",
    "DDSCLIENT_PROFILE",
    "PER_SERVICE_KEYS",
    "Flags",
    "SettingsPaths",
    "ServiceSettings",
    "read_display_settings",
    "read_settings",
    "read_token_file",
]

DDSCLIENT_PROFILE = "ddsclient"
"""The name under which an existing `~/.ddsclient` serves as a profile."""

COMMAND_LINE = "command line"
"""The source of what the command line said."""

_ENV_PREFIX = "UPLOAD_TUI_"
_ENV_KEYS = MappingProxyType(
    {
        "UPLOAD_TUI_URL": "url",
        "UPLOAD_TUI_PROJECT": "projects",
        "UPLOAD_TUI_TOKEN": "token",
        "UPLOAD_TUI_TOKEN_FILE": "token_file",
        "UPLOAD_TUI_TOKEN_COMMAND": "token_command",
        "UPLOAD_TUI_TOKEN_KEYRING": "token_keyring",
        "UPLOAD_TUI_AGENT_KEY": "agent_key",
        "UPLOAD_TUI_USER_KEY": "user_key",
        "UPLOAD_TUI_REFRESH": "refresh",
        "UPLOAD_TUI_STUCK_AFTER": "stuck_after",
        "UPLOAD_TUI_TIMEZONE": "timezone",
        "UPLOAD_TUI_THEME": "theme",
        "UPLOAD_TUI_SIGNS": "signs",
        "UPLOAD_TUI_ANIMATIONS": "animations",
        "UPLOAD_TUI_COLUMNS": "columns",
        "UPLOAD_TUI_ON_ERROR": "on_error",
        "UPLOAD_TUI_ALERTS": "alerts",
        "UPLOAD_TUI_ALERT_REPEAT": "alert_repeat",
        "UPLOAD_TUI_CA_BUNDLE": "ca_bundle",
    }
)
_HOOK_VARIABLES = ("UPLOAD_TUI_ID", "UPLOAD_TUI_NAME", "UPLOAD_TUI_ERROR")
"""For the command of `on_error`, which may run this program."""
_CREDENTIAL_KEYS = frozenset({"token", "token_file", "token_command", "token_keyring", "agent_key", "user_key"})
PER_SERVICE_KEYS = _CREDENTIAL_KEYS | {"url", "projects"}
"""Keys whose values mean nothing, or harm, at another service."""
_LIST_KEYS = frozenset({"columns", "alerts"})
_UNVALIDATED_KEYS = frozenset({"url", "token", "token_keyring", "agent_key", "user_key", "theme"})
"""Keys for which every text will do until it is used: a dashboard that is told no more opens without what validates."""
_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {"refresh": 1.0, "stuck_after": 900.0, "alert_repeat": 60.0, "projects": ()}
)


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Which service, which projects, how to be let in, and how to watch.

    Attributes:
        projects: ids or names; none means all that the account sees.
        token_command: a command that prints the token.
        token_file: where the token was read from; None if it was not.
        token_keyring: whose token the keyring is asked for.
        refresh_seconds: the shortest time between two looks.
        stuck_after_seconds: a pending upload of this age looks stuck.
        zone: of the times that people read; None for this machine's.
        theme: empty for the dashboard's own.
        signs: `unicode` or `ascii`; empty for those that suit the terminal.
        animations: whether anything moves but the facts; None if nobody said so.
        columns: of the dashboard's table, as `name` or `name:width`; none for the usual ones.
        keys: other keys, by the ids of actions.
        on_error: a command to run when an upload fails.
        alerts: how to call a person when uploads fail: `bell`, `desktop`.
        alert_repeat_seconds: failures of one cause are told again after so long at the earliest.
        ca_bundle: certificates to trust; None for the usual ones.
        profile: the profile that was read; empty if none was.
        sources: where each value came from, by key.
        warnings: what a person should mend though it does no harm just now.
    """

    url: str
    projects: tuple[str, ...] = ()
    token: str = field(default="", repr=False)
    token_command: str = ""
    token_file: Path | None = None
    token_keyring: str = ""
    agent_key: str = field(default="", repr=False)
    user_key: str = field(default="", repr=False)
    refresh_seconds: float = 1.0
    stuck_after_seconds: float = 900.0
    zone: tzinfo | None = None
    theme: str = ""
    signs: str = ""
    animations: bool | None = None
    columns: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    on_error: str = ""
    alerts: tuple[str, ...] = ()
    alert_repeat_seconds: float = 60.0
    ca_bundle: Path | None = None
    profile: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Flags(Struct, frozen=True):
    """What the command line said; empty where it said nothing."""

    url: str | None = None
    projects: Sequence[str] = ()
    profile: str | None = None
    token_file: Path | None = None
    insecure_http: bool = False


class SettingsPaths(Struct, frozen=True):
    """The files that are looked at; one that is not there says nothing."""

    settings_file: Path
    ddsclient_file: Path


class _Layer(Struct, frozen=True):
    """The values that one source gives, by a profile's keys."""

    source: str
    values: Mapping[str, Any]


def read_settings(
    environment: Mapping[str, str], flags: Flags, paths: SettingsPaths, *, needs_service: bool = True
) -> ServiceSettings:
    """Put the settings together.

    Args:
        environment: the process's variables; only those that begin with `UPLOAD_TUI_` are looked at.
        flags: of the command line.
        paths: where the files are.
        needs_service: False lets the URL be empty.

    Raises:
        SettingsError: something needed is missing, unknown or cannot be.
    """
    profile, layer = _profile_layer(flags.profile or environment.get(f"{_ENV_PREFIX}PROFILE", ""), paths)
    is_chosen = bool(flags.profile or environment.get(f"{_ENV_PREFIX}PROFILE"))
    layers = [_Layer("default", _DEFAULTS), layer, *_environment_layers(environment), _flag_layer(flags)]
    layers = _without_foreign_credentials(
        layers, layer, requires_own_url=profile == DDSCLIENT_PROFILE and not is_chosen
    )
    values, sources = _merge_layers(layers)
    if values.get("url"):
        _check_url(values["url"], insecure_http=flags.insecure_http)
    elif needs_service:
        raise SettingsError(
            f"No service is named{f' by the profile {profile}' if profile else ''}",
            "Try `upload-tui demo`, or name one with --url and --project (or UPLOAD_TUI_URL).",
        )
    return _build_settings(
        values, sources, profile, (*_permission_warnings(paths, layer), *_unknown_variable_warnings(environment))
    )


def read_display_settings(environment: Mapping[str, str], paths: SettingsPaths) -> ServiceSettings:
    """The settings of a dashboard over no service: what belongs to one is left out, whether or not it is right.

    Raises:
        SettingsError: something is unknown or cannot be.
    """
    profile, layer = _profile_layer(environment.get(f"{_ENV_PREFIX}PROFILE", ""), paths)
    layers = [_Layer("default", _DEFAULTS), layer, *_environment_layers(environment)]
    looks = [
        _Layer(one.source, {key: one.values[key] for key in one.values.keys() - PER_SERVICE_KEYS}) for one in layers
    ]
    values, sources = _merge_layers(looks)
    return _build_settings(values, sources, profile, _unknown_variable_warnings(environment))


def _build_settings(
    values: Mapping[str, Any], sources: Mapping[str, str], profile: str, warnings: tuple[str, ...]
) -> ServiceSettings:
    token_file = values.get("token_file")
    return ServiceSettings(
        url=values.get("url") or "",
        projects=tuple(values.get("projects") or ()),
        token=read_token_file(token_file) if token_file else _secret_text(values.get("token")),
        token_command=values.get("token_command") or "",
        token_file=token_file,
        token_keyring=values.get("token_keyring") or "",
        agent_key=_secret_text(values.get("agent_key")),
        user_key=_secret_text(values.get("user_key")),
        refresh_seconds=values["refresh"],
        stuck_after_seconds=values["stuck_after"],
        zone=_zone(values.get("timezone")),
        theme=values.get("theme") or "",
        signs=values.get("signs") or "",
        animations=values.get("animations"),
        columns=tuple(values.get("columns") or ()),
        keys=MappingProxyType(dict(values.get("keys") or {})),
        on_error=values.get("on_error") or "",
        alerts=tuple(values.get("alerts") or ()),
        alert_repeat_seconds=values["alert_repeat"],
        ca_bundle=values.get("ca_bundle"),
        profile=profile,
        sources=MappingProxyType(dict(sources)),
        warnings=warnings,
    )


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def _profile_layer(name: str, paths: SettingsPaths) -> tuple[str, _Layer]:
    """The profile in force and its values: the one that is wanted, the default one, the only one, or else the published client's."""
    file = paths.settings_file
    known = _load_settings_file(file)
    names = list(known.profiles) if known else []
    name = name or (known.default_profile if known else None) or (names[0] if len(names) == 1 else "")
    has_ddsclient = paths.ddsclient_file.is_file()
    if not name and not names and has_ddsclient:
        name = DDSCLIENT_PROFILE
    if not name:
        return "", _Layer("no profile", {})
    if known and name in known.profiles:
        values = known.profiles[name].model_dump(exclude_unset=True)
        return name, _Layer(f"{file}, profile {name}", values)
    if name == DDSCLIENT_PROFILE and has_ddsclient:
        from upload_tui.settings.profiles import read_ddsclient

        return name, _Layer(str(paths.ddsclient_file), read_ddsclient(paths.ddsclient_file))
    mend = (
        f"Known are: {', '.join(names)}."
        if names
        else f"`upload-tui config init` writes a file to begin with ({file})."
    )
    raise SettingsError(f"There is no profile {name}", mend)


def _load_settings_file(file: Path) -> "SettingsFile | None":
    if not file.exists():
        return None
    from upload_tui.settings.profiles import read_settings_file

    return read_settings_file(file)


def _environment_layers(environment: Mapping[str, str]) -> list[_Layer]:
    """A layer for each variable that says anything, so that its name is known when it is wrong."""
    layers = []
    for name, key in _ENV_KEYS.items():
        text = environment.get(name, "").strip()
        if text:
            layers.append(_Layer(name, _parse_variable(name, key, text)))
    return layers


def _parse_variable(name: str, key: str, text: str) -> Mapping[str, Any]:
    """What a variable says of a key."""
    if key in _UNVALIDATED_KEYS:
        return {key: text}
    from upload_tui.settings.profiles import validate_values

    return validate_values({key: tuple(word.strip() for word in text.split(",")) if key in _LIST_KEYS else text}, name)


def _flag_layer(flags: Flags) -> _Layer:
    said = {"url": flags.url, "projects": tuple(flags.projects), "token_file": flags.token_file}
    return _Layer(COMMAND_LINE, {key: value for key, value in said.items() if value})


def _without_foreign_credentials(layers: Sequence[_Layer], profile: _Layer, *, requires_own_url: bool) -> list[_Layer]:
    """A profile's keys and projects belong to its own service: another one's URL from elsewhere must not be sent them.

    A profile that names no service goes with any, unless it keeps to itself: the published client's keys, which nobody asked for.
    """
    url = next((layer.values["url"] for layer in reversed(layers) if layer.values.get("url")), None)
    own_url = profile.values.get("url")
    if url is None or (own_url is None and not requires_own_url) or (own_url and _origin(url) == _origin(own_url)):
        return list(layers)
    foreign = {key: value for key, value in profile.values.items() if key not in _CREDENTIAL_KEYS | {"projects"}}
    return [_Layer(profile.source, foreign) if layer is profile else layer for layer in layers]


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", url
    return parts.scheme, parts.netloc.lower()


def _merge_layers(layers: Sequence[_Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """The last word on each key, and whose it was. Ways of being let in are not mixed across files, environment and flags."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer in layers:
        if _CREDENTIAL_KEYS & layer.values.keys():
            for key in _CREDENTIAL_KEYS & values.keys():
                if not (sources[key].startswith(_ENV_PREFIX) and layer.source.startswith(_ENV_PREFIX)):
                    del values[key], sources[key]
        values.update(layer.values)
        sources.update(dict.fromkeys(layer.values, layer.source))
    return values, sources


def _permission_warnings(paths: SettingsPaths, profile: _Layer) -> tuple[str, ...]:
    """Files with a secret that others can read."""
    if not {"token", "agent_key", "user_key"} & profile.values.keys():
        return ()
    file = paths.ddsclient_file if profile.source == str(paths.ddsclient_file) else paths.settings_file
    if not file.stat().st_mode & 0o077:
        return ()
    return (f"{file} holds a secret and others can read it. Mend it with: chmod 600 {file}",)


def _unknown_variable_warnings(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Variables that look like ours and are not: a slip in a name would go unseen otherwise."""
    known = (*_ENV_KEYS, f"{_ENV_PREFIX}PROFILE", *_HOOK_VARIABLES)
    unknown = [name for name in environment if name.startswith(_ENV_PREFIX) and name not in known]
    return tuple(f"{name} is no variable of ours. {_did_you_mean(name, known)}".strip() for name in unknown)


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    nearest = get_close_matches(name, known, n=1)
    return f"Did you mean {nearest[0]}?" if nearest else ""


def _secret_text(value: Any) -> str:
    """A secret as plain text; a profile's is wrapped, a variable's is not."""
    return "" if value is None else str(getattr(value, "get_secret_value", lambda: value)()).strip()


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


def read_token_file(file: Path) -> str:
    """The token on the first line of a file.

    Raises:
        SettingsError: it cannot be read, or there is none in it.
    """
    try:
        words = file.expanduser().read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The token file {file} cannot be read", "Check its path and its permissions.") from error
    if not words:
        raise SettingsError(f"The token file {file} is empty", "Put the token on its first line.")
    return words[0]

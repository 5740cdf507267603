"""The settings in use: the layers merged, checked once, and frozen. Secrets are not part of a `repr`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from upload_tui.addresses import has_user_info, is_loopback, safe_origin
from upload_tui.errors import SettingsError, did_you_mean
from upload_tui.files import expand_home, failure_reason, is_readable_by_others, read_text
from upload_tui.lazy import lazy_pattern
from upload_tui.processes import program_name
from upload_tui.redaction import register_secrets
from upload_tui.settings.keys import (
    CREDENTIAL_KEYS,
    DEFAULTS,
    ENV_PREFIX,
    PER_SERVICE_KEYS,
    PROFILE_VARIABLE,
    VARIABLES,
)
from upload_tui.settings.layers import (
    DDSCLIENT_PROFILE,
    DEFAULT_LAYER,
    Flags,
    Layer,
    SettingsPaths,
    environment_layers,
    flag_layer,
    merge_layers,
    profile_layer,
    profile_names,
    uses_other_service,
    without_foreign_credentials,
)

if TYPE_CHECKING:
    from upload_tui.settings.profiles import CommandSettings, ViewSettings

__all__ = ["SOURCE_REFRESH_SECONDS", "ServiceSettings", "read_display_settings", "read_settings", "read_token_file"]

_HOOK_VARIABLES = ("UPLOAD_TUI_ID", "UPLOAD_TUI_NAME", "UPLOAD_TUI_ERROR")
"""Set for the `on_error` command, which may run upload-tui itself."""
_SOURCE_VARIABLE = f"{ENV_PREFIX}SOURCE_VERSION"
_SOURCE_VARIABLES = (_SOURCE_VARIABLE, f"{ENV_PREFIX}SOURCE_RUN")
"""Set for the command of a source, which may run upload-tui itself."""
SOURCE_REFRESH_SECONDS = 15.0
"""Between two runs of a source's command, if `refresh` is not set."""
_TEXT_KEYS = ("token_command", "token_keyring", "theme", "signs", "upload_url", "on_error")
"""Empty if they are not set."""
_TABLE_KEYS = ("keys", "views", "commands", "on_change")
_API_PATH = lazy_pattern(r"/api(/v[^/]*|$)", re.IGNORECASE)
_URL_HINT = "Use one like https://dds.example.org."


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """The service, the projects, the credentials, and how to watch.

    Attributes:
        url: of the service; empty if uploads come from a command.
        command: the program and its arguments that print the uploads; empty if they come from a service.
        timeout_seconds: how long one run of that command may take.
        projects: ids or names; empty means all that the account can see.
        token_command: a command that prints the token.
        token_file: the file that the token was read from; None if there is none.
        token_keyring: the user name of the token in the keyring.
        refresh_seconds: the shortest time between two updates.
        requests_per_minute: the most requests to the service in a minute.
        stuck_after_seconds: the age at which a pending upload is stuck; less if similar uploads are much faster, more if
            they take longer.
        failures_for_seconds: how long a failed upload counts as trouble.
        zone: of displayed times; None means the local zone.
        theme: empty means the default theme.
        signs: `unicode` or `ascii`; empty means what the terminal supports.
        animations: None if not set.
        columns: of the table, as `name` or `name:width`; empty means the default ones.
        keys: key bindings by action id.
        views: views of the dashboard, by name.
        commands: commands on uploads, by name.
        upload_url: the address of an upload's page, with fields in it; empty if there is none.
        on_error: a command to run when an upload fails.
        on_change: commands to run when uploads change, by the query of the changes.
        alerts: how to alert when uploads fail, become stuck or are not whole: `bell`, `desktop`.
        alert_repeat_seconds: the shortest time between two alerts for the same cause.
        ca_bundle: trusted certificates; None means the default ones.
        profile: the name of the profile in use; empty if there is none.
        is_other_service: whether another service takes precedence over that of the profile.
        values: all values that are set, by key, in the form that they have in the settings file.
        sources: where each value comes from, by key.
        warnings: what should be fixed although it does no harm yet.
    """

    url: str
    command: tuple[str, ...] = ()
    timeout_seconds: float = DEFAULTS["timeout"]
    projects: tuple[str, ...] = ()
    token: str = field(default="", repr=False)
    token_command: str = ""
    token_file: Path | None = None
    token_keyring: str = ""
    agent_key: str = field(default="", repr=False)
    user_key: str = field(default="", repr=False)
    refresh_seconds: float = DEFAULTS["refresh"]
    requests_per_minute: int = DEFAULTS["requests_per_minute"]
    stuck_after_seconds: float = DEFAULTS["stuck_after"]
    failures_for_seconds: float = DEFAULTS["failures_for"]
    zone: tzinfo | None = None
    theme: str = ""
    signs: str = ""
    animations: bool | None = None
    columns: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    views: "Mapping[str, ViewSettings]" = field(default_factory=dict)
    commands: "Mapping[str, CommandSettings]" = field(default_factory=dict)
    upload_url: str = ""
    on_error: str = ""
    on_change: Mapping[str, str] = field(default_factory=dict)
    alerts: tuple[str, ...] = ()
    alert_repeat_seconds: float = DEFAULTS["alert_repeat"]
    ca_bundle: Path | None = None
    profile: str = ""
    is_other_service: bool = False
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    sources: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name on screen: the profile, else the host of the service, or the name of the source's program or script."""
        if name := self.profile_of_service or (self.command and program_name(self.command)):
            return name
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def profile_of_service(self) -> str:
        """The profile, if the service is its own; empty otherwise."""
        return "" if self.is_other_service else self.profile


def read_settings(
    environment: Mapping[str, str], flags: Flags, paths: SettingsPaths, *, needs_service: bool = True
) -> ServiceSettings:
    """Read and merge all settings.

    Args:
        environment: the variables of the process; only `UPLOAD_TUI_*` are used.
        flags: from the command line.
        paths: of the settings files.
        needs_service: False allows an empty URL.

    Raises:
        SettingsError: a required value is missing, or a key or value is invalid.
    """
    chosen = flags.profile or environment.get(PROFILE_VARIABLE, "")
    profile, layer = profile_layer(chosen, paths)
    layers = [DEFAULT_LAYER, layer, *environment_layers(environment), flag_layer(flags)]
    is_ddsclient_unasked = profile == DDSCLIENT_PROFILE and not chosen
    if is_other := uses_other_service(layers, layer, requires_own_url=is_ddsclient_unasked):
        layers = without_foreign_credentials(layers, layer)
    values, sources = merge_layers(layers)
    if values.get("command"):
        _check_command(values, sources, environment)
    elif values.get("url"):
        _check_url(values["url"], sources["url"], insecure_http=flags.insecure_http)
        _check_keys(values, sources)
    elif needs_service:
        raise _no_service_error(profile, profile_names(paths.settings_file))
    warnings = (*_permission_warnings(paths, layer, values.get("token_file")), *_unknown_variable_warnings(environment))
    return replace(_build_settings(values, sources, profile, warnings), is_other_service=is_other)


def _no_service_error(profile: str, names: Sequence[str]) -> SettingsError:
    if names and not profile:
        hint = f"Give one with --profile ({', '.join(names)}), or set default_profile in the settings file."
        return SettingsError("No profile is chosen", hint)
    return SettingsError(
        f"No service configured{f' in the profile {profile}' if profile else ''}",
        "Try `upload-tui demo`, or set one with --url and --project (or UPLOAD_TUI_URL), or a command with --command.",
    )


def read_display_settings(environment: Mapping[str, str], paths: SettingsPaths) -> ServiceSettings:
    """Read the settings of a dashboard without a service; keys of a service are ignored, whether valid or not.

    Raises:
        SettingsError: another key or value is invalid.
    """
    profile, layer = profile_layer(environment.get(PROFILE_VARIABLE, ""), paths)
    layers = [DEFAULT_LAYER, layer, *environment_layers(environment)]
    display = [
        Layer(one.source, {key: one.values[key] for key in one.values.keys() - PER_SERVICE_KEYS}) for one in layers
    ]
    values, sources = merge_layers(display)
    return _build_settings(values, sources, profile, _unknown_variable_warnings(environment))


def _build_settings(
    values: Mapping[str, Any], sources: Mapping[str, str], profile: str, warnings: tuple[str, ...]
) -> ServiceSettings:
    command = tuple(values.get("command") or ())
    texts: dict[str, Any] = {key: values.get(key) or "" for key in _TEXT_KEYS}
    tables: dict[str, Any] = {key: MappingProxyType(dict(values.get(key) or {})) for key in _TABLE_KEYS}
    return ServiceSettings(
        **texts,
        **tables,
        url="" if command else values.get("url") or "",
        command=command,
        timeout_seconds=values.get("timeout") or DEFAULTS["timeout"],
        projects=tuple(values.get("projects") or ()),
        token=_token(values),
        token_file=values.get("token_file"),
        agent_key=_secret_text(values.get("agent_key")),
        user_key=_secret_text(values.get("user_key")),
        refresh_seconds=_refresh_seconds(values, sources),
        requests_per_minute=values["requests_per_minute"],
        stuck_after_seconds=values["stuck_after"],
        failures_for_seconds=values["failures_for"],
        zone=_zone(values.get("timezone")),
        animations=values.get("animations"),
        columns=tuple(values.get("columns") or ()),
        alerts=tuple(values.get("alerts") or ()),
        alert_repeat_seconds=values["alert_repeat"],
        ca_bundle=values.get("ca_bundle"),
        profile=profile,
        values=MappingProxyType({**values, "refresh": _refresh_seconds(values, sources)}),
        sources=MappingProxyType(dict(sources)),
        warnings=warnings,
    )


def _token(values: Mapping[str, Any]) -> str:
    file = values.get("token_file")
    return read_token_file(file) if file else _secret_text(values.get("token"))


def _refresh_seconds(values: Mapping[str, Any], sources: Mapping[str, str]) -> float:
    """The shortest interval; by default longer for a command than for a service."""
    is_default = sources["refresh"] == DEFAULT_LAYER.source
    seconds: float = SOURCE_REFRESH_SECONDS if values.get("command") and is_default else values["refresh"]
    return seconds


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def _permission_warnings(paths: SettingsPaths, profile: Layer, token_file: Path | None) -> tuple[str, ...]:
    """A warning for each file that contains a secret and that other users can read: the profile's, and the token file."""
    files = [] if token_file is None else [expand_home(token_file)]
    if {"token", "agent_key", "user_key"} & profile.values.keys():
        files.append(paths.ddsclient_file if profile.source == str(paths.ddsclient_file) else paths.settings_file)
    return tuple(
        f"{file} contains a secret and other users can read it. Fix it with: chmod 600 {file}"
        for file in files
        if is_readable_by_others(file)
    )


def _unknown_variable_warnings(environment: Mapping[str, str]) -> tuple[str, ...]:
    """A warning for each `UPLOAD_TUI_*` variable that does not exist: a typo would otherwise go unnoticed."""
    known = (*VARIABLES, PROFILE_VARIABLE, *_HOOK_VARIABLES, *_SOURCE_VARIABLES)
    unknown = [name for name in environment if name.startswith(ENV_PREFIX) and name not in known]
    return tuple(f"Unknown variable {name}. {did_you_mean(name, known)}".strip() for name in unknown)


def _secret_text(value: Any) -> str:
    """The plain text of a secret: pydantic wraps the ones of the settings file, those of variables are plain."""
    text = "" if value is None else str(getattr(value, "get_secret_value", lambda: value)()).strip()
    register_secrets((text,))
    return text


def _check_command(values: Mapping[str, Any], sources: Mapping[str, str], environment: Mapping[str, str]) -> None:
    if values.get("url"):
        raise SettingsError(f"{sources['command']}: both url and command", "Keep one: a service, or a source.")
    if environment.get(_SOURCE_VARIABLE):
        raise SettingsError(
            f"{sources['command']}: the command of a source runs upload-tui with the source itself",
            "Give that upload-tui the --url or the --profile of a service.",
        )


def _check_keys(values: Mapping[str, Any], sources: Mapping[str, str]) -> None:
    given = [key for key in CREDENTIAL_KEYS if values.get(key)]
    if given in (["agent_key"], ["user_key"]):
        (missing,) = {"agent_key", "user_key"}.difference(given)
        raise SettingsError(
            f"{sources[given[0]]}: {given[0]} without {missing}", "Set both: they are exchanged for a token together."
        )


def _check_url(url: str, source: str, *, insecure_http: bool) -> None:
    if has_user_info(url):  # first: the errors below quote the URL
        raise SettingsError(
            f"{source}: the URL contains a user or a password",
            "Remove it, up to and including the @; a token or keys authenticate you.",
        )
    shown = safe_origin(url) or "the URL"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(f"{source}: {shown} is not valid", _URL_HINT) from None  # the cause quotes the URL
    if parts.scheme not in ("http", "https") or not host:
        raise SettingsError(f"{source}: {shown} does not start with https:// or http:// and a host", _URL_HINT)
    _check_path(url, parts, source)
    if parts.scheme == "http" and not insecure_http and not is_loopback(host):
        raise SettingsError(
            f"{source}: {shown} would get the token unencrypted over the network",
            "Use https://, or add --insecure-http.",
        )


def _check_path(url: str, parts: SplitResult, source: str) -> None:
    """Refuse the address of a page or of an API call; the service behind it would answer "not found"."""
    path = parts.path.rstrip("/").removesuffix("/api/v1")
    if "?" in url or "#" in url or "//" in path or _API_PATH.search(path):
        root = safe_origin(url) or "the address"
        raise SettingsError(
            f"{source}: the URL is not that of a service", f"Use {root}, without query and path of the API."
        )


def read_token_file(file: Path) -> str:
    """The token on the first line of a file.

    Raises:
        SettingsError: the file cannot be read, or is empty.
    """
    try:
        words = read_text(expand_home(file)).split()
    except (OSError, ValueError) as error:
        reason = failure_reason(error)
        raise SettingsError(f"The token file {file} cannot be read: {reason}", "Check token_file.") from error
    if not words:
        raise SettingsError(f"The token file {file} is empty", "Put the token on its first line.")
    if not (words[0].isascii() and words[0].isprintable()):
        raise SettingsError(f"The token file {file} contains no token", "Put the token on its first line.")
    return words[0]

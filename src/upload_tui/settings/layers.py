"""Layers of settings: the profile, environment variables and flags, each with its source, and how they are merged."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from upload_tui.errors import SettingsError
from upload_tui.files import is_utf8
from upload_tui.settings.keys import CREDENTIAL_KEYS, DEFAULTS, ENV_PREFIX, FLAG_KEYS, VARIABLES, Key

if TYPE_CHECKING:
    from upload_tui.settings.profiles import SettingsFile

__all__ = [
    "COMMAND_LINE",
    "DDSCLIENT_PROFILE",
    "DEFAULT_LAYER",
    "Flags",
    "Layer",
    "SettingsPaths",
    "environment_layers",
    "flag_layer",
    "merge_layers",
    "profile_layer",
    "profile_names",
    "uses_other_service",
    "without_foreign_credentials",
]

DDSCLIENT_PROFILE = "ddsclient"
"""The name of the profile that an existing `~/.ddsclient` provides."""

COMMAND_LINE = "command line"
"""The source of values from the command line."""


class Flags(Struct, frozen=True):
    """The settings on the command line.

    Attributes:
        values: by key, those that were given and are not empty; of a flag that may be repeated a sequence.
        profile: None if none was named.
        insecure_http: whether plain HTTP to other machines is allowed.
    """

    values: Mapping[str, Any] = {}
    profile: str | None = None
    insecure_http: bool = False

    def with_projects(self, projects: Sequence[str]) -> "Flags":
        """The same with more projects, before those that were given with the flag."""
        given = (*projects, *self.values.get("projects", ()))
        return replace(self, values={**self.values, "projects": given}) if given else self


class SettingsPaths(Struct, frozen=True):
    """The files to read; either may be missing."""

    settings_file: Path
    ddsclient_file: Path


class Layer(Struct, frozen=True):
    """The values from one source, by the keys of a profile."""

    source: str
    values: Mapping[str, Any]


DEFAULT_LAYER = Layer("default", DEFAULTS)


def profile_layer(name: str, paths: SettingsPaths) -> tuple[str, Layer]:
    """The name and the values of the profile in use.

    That is the named one, else the default one, else the only one, else that of the published client; or none, with an empty name.

    Raises:
        SettingsError: the settings file is invalid, or has no such profile.
    """
    file = paths.settings_file
    known = _load_settings_file(file)
    names = list(known.profiles) if known else []
    name = name or (known.default_profile if known else None) or (names[0] if len(names) == 1 else "")
    has_ddsclient = _is_file(paths.ddsclient_file)
    if not name and not names and has_ddsclient:
        name = DDSCLIENT_PROFILE
    if not name:
        shared = known.shared_values() if known else {}
        return "", Layer(str(file) if shared else "no profile", shared)
    if known and name in known.profiles:
        return name, Layer(f"{file}, profile {name}", known.profile_values(name))
    if name == DDSCLIENT_PROFILE and has_ddsclient:
        from upload_tui.settings.profiles import read_ddsclient

        return name, Layer(str(paths.ddsclient_file), read_ddsclient(paths.ddsclient_file))
    hint = (
        f"Known profiles: {', '.join(names)}."
        if names
        else f"`upload-tui config init` creates a settings file ({file})."
    )
    raise SettingsError(f"There is no profile {name}", hint)


def profile_names(file: Path) -> Sequence[str]:
    """The names of the profiles in a settings file; none if it does not exist."""
    known = _load_settings_file(file)
    return list(known.profiles) if known else []


def _load_settings_file(file: Path) -> "SettingsFile | None":
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}", "Check its permissions.") from error
    from upload_tui.settings.profiles import read_settings_file

    return read_settings_file(file)


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # a folder without permission
        return False


def environment_layers(environment: Mapping[str, str]) -> Iterator[Layer]:
    """A layer for each variable that is set, so that an error can name the variable.

    Raises:
        SettingsError: a value is invalid.
    """
    for name, key in VARIABLES.items():
        text = environment.get(name, "").strip()
        if not is_utf8(text):
            raise SettingsError(f"{name} is not UTF-8 text", "Set it again.")
        if text:
            value = tuple(part.strip() for part in text.split(",")) if key.is_list else text
            yield Layer(name, {key.name: _parse(value, key, name)})


def _parse(value: Any, key: Key, source: str) -> Any:
    """The value of a key; only what is not free text needs validation."""
    if isinstance(value, str) and key.is_free_text:
        return value
    from upload_tui.settings.profiles import validate_values

    return validate_values({key.name: value}, source)[key.name]


def flag_layer(flags: Flags) -> Layer:
    """The values that were given on the command line.

    Raises:
        SettingsError: a value is invalid.
    """
    keys = ((FLAG_KEYS[name], value) for name, value in flags.values.items())
    parsed = {key.name: _parse(value, key, key.flag) if isinstance(value, str) else value for key, value in keys}
    return Layer(COMMAND_LINE, parsed)


def uses_other_service(layers: Sequence[Layer], profile: Layer, *, requires_own_url: bool) -> bool:
    """Whether another service takes precedence over that of the profile.

    A profile without a URL may be used with any service, unless `requires_own_url`: that is for the published client's
    file, which is used without being chosen.
    """
    chosen = next((layer for layer in reversed(layers) if {"url", "command"} & layer.values.keys()), profile)
    url, own_url = chosen.values.get("url"), profile.values.get("url")
    has_other_source = chosen is not profile and ("command" in chosen.values or "command" in profile.values)
    is_own = url is None or (own_url is None and not requires_own_url) or (own_url and _origin(url) == _origin(own_url))
    return has_other_source or not is_own


def without_foreign_credentials(layers: Sequence[Layer], profile: Layer) -> list[Layer]:
    """Drop the credentials and projects of a profile, and its address of an upload's page: they are for its own service."""
    safe = {
        key: value for key, value in profile.values.items() if key not in CREDENTIAL_KEYS | {"projects", "upload_url"}
    }
    return [Layer(profile.source, safe) if layer is profile else layer for layer in layers]


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", url
    return parts.scheme, parts.netloc.lower()


def merge_layers(layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values and the source of each; later layers take precedence.

    Credentials of one layer replace all those before: a token file on the command line is not mixed with keys of a profile. The same
    is true of the service, which is a URL or a command.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer in layers:
        if CREDENTIAL_KEYS & layer.values.keys():
            for key in CREDENTIAL_KEYS & values.keys():
                # Variables are one source: UPLOAD_TUI_AGENT_KEY and UPLOAD_TUI_USER_KEY belong together.
                if not (sources[key].startswith(ENV_PREFIX) and layer.source.startswith(ENV_PREFIX)):
                    del values[key], sources[key]
        for key, other in (("url", "command"), ("command", "url")):
            if layer.values.get(key) and other not in layer.values:
                values.pop(other, None)
                sources.pop(other, None)
        values.update(layer.values)
        sources.update(dict.fromkeys(layer.values, layer.source))
    return values, sources

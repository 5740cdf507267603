"""The settings file: profiles as pydantic models, and errors that name the file, the line and the nearest known key.

Called by `settings` when there is something to read. Knows no command line and no environment.
"""

import re
import shlex
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from upload_tui.errors import SettingsError

__all__ = [
    "Profile",
    "SettingsFile",
    "settings_schema",
    "read_ddsclient",
    "read_settings_file",
    "validate_values",
]


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("no such time zone; known are names like Europe/Berlin and UTC") from error
    return name


def _check_command(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError("a quotation mark is not closed") from error
    if not words:
        raise ValueError("there is no command in it")
    return command


def _as_tuple(value: object) -> object:
    """One text where a list of them is meant is a list of one."""
    return (value,) if isinstance(value, str) else value


Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]
Command = Annotated[str, AfterValidator(_check_command)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class Profile(BaseModel):
    """One service and how a person watches it; every key may be left out."""

    # A value may be a secret: no complaint of pydantic's repeats it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str | None = Field(None, description="the service, with or without /api/v1")
    projects: Strings | None = Field(None, description="ids or names; none means all that the account sees")
    token: SecretStr | None = Field(None, description="the token itself; better a command, a file or the keyring")
    token_command: Command | None = Field(None, description="a command that prints the token")
    token_file: Path | None = Field(None, description="a file with the token on its first line")
    token_keyring: str | None = Field(
        None, description="the user name of the token in the keyring's service upload-tui"
    )
    agent_key: SecretStr | None = Field(None, description="exchanged for a token together with user_key")
    user_key: SecretStr | None = Field(None, description="exchanged for a token together with agent_key")
    refresh: Seconds | None = Field(None, description="the shortest time between two looks, in seconds")
    stuck_after: Seconds | None = Field(None, description="a pending upload of this age looks stuck, in seconds")
    timezone: Annotated[str, AfterValidator(_check_zone)] | None = Field(
        None, description="the zone of the times that people read, such as Europe/Berlin; none means this machine's"
    )
    theme: str | None = Field(None, description="the name of a theme")
    signs: Literal["unicode", "ascii"] | None = Field(
        None, description="what the dashboard draws with: unicode, ascii; none means what the locale can show"
    )
    animations: bool | None = Field(
        None, description="whether anything moves but the facts: true, false; none means true, but false under ssh"
    )
    columns: Strings | None = Field(None, description="the columns of the table, each as name or name:width")
    keys: dict[str, str] | None = Field(None, description="other keys for actions, by the actions' ids")
    on_error: Command | None = Field(None, description="a command to run when uploads fail; gets them as JSON lines")
    alerts: tuple[Literal["bell", "desktop"], ...] | None = Field(
        None, description="how to call a person when uploads fail, beside the line at the top: bell, desktop"
    )
    alert_repeat: SecondsOrZero | None = Field(
        None,
        description="the shortest time until failures of the same cause are told again, in seconds; 0 tells each at once",
    )
    ca_bundle: Path | None = Field(None, description="certificates to trust, in place of the usual ones")


class SettingsFile(BaseModel):
    """The whole of `config.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    default_profile: str | None = Field(None, description="the profile that is in force if none is named")
    profiles: dict[str, Profile] = Field(default_factory=dict, description="by their names")


def settings_schema() -> Mapping[str, Any]:
    """The JSON schema of the settings file, for editors; TOML has no null, so that nothing may be one."""
    schema = SettingsFile.model_json_schema()
    for model in (schema, schema["$defs"]["Profile"]):
        model["properties"] = {key: _without_null(said) for key, said in model["properties"].items()}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Settings of upload-tui"}


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    kept = {word: value for word, value in schema.items() if word not in {"anyOf", "default", "title"}}
    return {**(kinds[0] if kinds else {}), **kept}


def read_settings_file(file: Path) -> SettingsFile:
    """What a settings file says.

    Raises:
        SettingsError: it cannot be read, is no TOML, or has a key or a value that cannot be.
    """
    text = _read_text(file)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not TOML: {error}", "Mend that line.") from error
    try:
        return SettingsFile.model_validate(tree)
    except ValidationError as error:
        raise _validation_error(error, str(file), text) from error


def validate_values(values: Mapping[str, object], source: str) -> Mapping[str, Any]:
    """The values of a layer, of the types of a profile's keys.

    Raises:
        SettingsError: one cannot be; `source` says where it stands.
    """
    try:
        profile = Profile.model_validate(dict(values))
    except ValidationError as error:
        raise _validation_error(error, source) from error
    return {key: getattr(profile, key) for key in values}


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not a text in UTF-8", "Save it as one.") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}", "Check its permissions.") from error


def _validation_error(error: ValidationError, source: str, text: str = "") -> SettingsError:
    """The first thing that is wrong. Never quotes a value: it may be a secret."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    names = [str(part) for part in problem["loc"] if isinstance(part, str)]
    key = names[0] if names[:1] != ["profiles"] else names[min(2, len(names) - 1)]
    line = _find_line(names, text)
    if problem["type"] == "extra_forbidden":
        known = SettingsFile.model_fields if len(names) == 1 and text else Profile.model_fields
        nearest = get_close_matches(key, known, n=1, cutoff=0.5)
        mend = f"Did you mean {nearest[0]}?" if nearest else f"Known are: {', '.join(known)}."
        return SettingsError(f"{source}{f', line {line},' if line else ''} has the unknown key {key}", mend)
    why = problem["msg"].removeprefix("Value error, ")
    place = f"{source}, line {line}" if line else source
    return SettingsError(f"{place}: {key} cannot be used: {why}", "Mend the value, or leave the key out.")


def _find_line(names: list[str], text: str) -> int:
    """The line (from 1) where a key stands below its own heading, or else its table; 0 where TOML's rarer forms hide it."""
    lines = text.splitlines()
    for depth in range(len(names), 0, -1):
        *tables, last = names[:depth]
        heading = re.compile(rf"^\s*\[\s*{_key_pattern(tables)}\s*\]")
        key = re.compile(
            rf"^\s*{_key_pattern([last])}\s*[=.]" if tables else rf"^\s*\[?\s*{_key_pattern([last])}\s*[=.\]]"
        )
        is_below = not tables
        for number, line in enumerate(lines, 1):
            if is_below and key.match(line):
                return number
            if tables and line.lstrip().startswith("["):
                is_below = heading.match(line) is not None
    return 0


def _key_pattern(names: list[str]) -> str:
    return r"\s*\.\s*".join(rf"""["']?{re.escape(name)}["']?""" for name in names)


def read_ddsclient(file: Path) -> Mapping[str, Any]:
    """What the published client's own settings file says, as a profile's values.

    It is YAML of the flattest kind (`key: value` on each line), and nothing more is looked for in it. Other keys are that
    client's own.
    """
    said: dict[str, str] = {}
    for line in _read_text(file).splitlines():
        key, colon, value = line.partition(":")
        value = value.strip()
        quoted = re.fullmatch(r"""(["'])(.*)\1(\s+#.*)?""", value)
        plain = quoted[2] if quoted else re.split(r"\s+#", value)[0]
        if colon and plain and not key.startswith((" ", "#")):
            said[key.strip()] = plain
    names = {"url": "url", "agent_key": "agent_key", "user_key": "user_key", "auth": "token"}
    return validate_values({names[key]: value for key, value in said.items() if key in names}, str(file))

"""The settings file: profiles as pydantic models, and errors that name the file, the line and the nearest known key.

Called by `settings` when there is something to read. Knows no command line and no environment.
"""

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from upload_tui.errors import SettingsError

__all__ = [
    "SECRET_KEYS",
    "Profile",
    "SettingsFile",
    "profile_schema",
    "read_ddsclient",
    "read_settings_file",
    "validated",
]

SECRET_KEYS = ("token", "agent_key", "user_key")
"""Keys whose values are never shown."""

Seconds = Annotated[float, Field(gt=0, le=86400)]


class Profile(BaseModel):
    """One service and how a person watches it; every key may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = Field(None, description="the service, with or without /api/v1")
    projects: tuple[str, ...] | None = Field(None, description="ids or names; none means all that the account sees")
    token: SecretStr | None = Field(None, description="the token itself; better a command or a file")
    token_command: str | None = Field(None, description="a command that prints the token")
    token_file: Path | None = Field(None, description="a file with the token on its first line")
    agent_key: SecretStr | None = Field(None, description="exchanged for a token together with user_key")
    user_key: SecretStr | None = Field(None, description="exchanged for a token together with agent_key")
    refresh: Seconds | None = Field(None, description="the shortest time between two looks, in seconds")
    stuck_after: Seconds | None = Field(None, description="a pending upload of this age looks stuck, in seconds")
    theme: str | None = Field(None, description="the name of a theme")
    keys: dict[str, str] | None = Field(None, description="other keys for actions, by the actions' ids")
    ca_bundle: Path | None = Field(None, description="certificates to trust, in place of the usual ones")


class SettingsFile(BaseModel):
    """The whole of `config.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default_profile: str | None = Field(None, description="the profile that is in force if none is named")
    profiles: dict[str, Profile] = Field(default_factory=dict, description="by their names")


def profile_schema() -> Mapping[str, Any]:
    """The JSON schema of the settings file, for editors."""
    return SettingsFile.model_json_schema()


def read_settings_file(file: Path) -> SettingsFile:
    """What a settings file says.

    Raises:
        SettingsError: it cannot be read, is no TOML, or has a key or a value that cannot be.
    """
    text = _read(file)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not TOML: {error}", "Mend that line.") from error
    try:
        return SettingsFile.model_validate(tree)
    except ValidationError as error:
        raise _complaint(error, str(file), text) from error


def validated(values: Mapping[str, object], source: str) -> Mapping[str, Any]:
    """The values of a layer, of the types of a profile's keys.

    Raises:
        SettingsError: one cannot be; `source` says where it stands.
    """
    try:
        profile = Profile.model_validate(dict(values))
    except ValidationError as error:
        raise _complaint(error, source) from error
    return {key: getattr(profile, key) for key in values}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not a text in UTF-8", "Save it as one.") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}", "Check its permissions.") from error


def _complaint(error: ValidationError, source: str, text: str = "") -> SettingsError:
    """The first thing that is wrong. Never quotes a value: it may be a secret."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    key = next((str(part) for part in reversed(problem["loc"]) if isinstance(part, str)), "")
    place = f"{source}{_line_of(key, text)}"
    if problem["type"] == "extra_forbidden":
        known = SettingsFile.model_fields if len(problem["loc"]) == 1 else Profile.model_fields
        nearest = get_close_matches(key, known, n=1, cutoff=0.5)
        mend = f"Did you mean {nearest[0]}?" if nearest else f"Known are: {', '.join(known)}."
        return SettingsError(f"{place} has the unknown key {key}", mend)
    return SettingsError(f"{place}: {key} cannot be used: {problem['msg']}", "Mend the value, or leave the key out.")


def _line_of(key: str, text: str) -> str:
    pattern = re.compile(rf"""^\s*(\[.*\.)?["']?{re.escape(key)}["']?\s*[=\].]""")
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.match(line):
            return f", line {number},"
    return ""


def read_ddsclient(file: Path) -> Mapping[str, Any]:
    """What the published client's own settings file says, as a profile's values.

    It is YAML of the flattest kind (`key: value` on each line), and nothing more is looked for in it. Other keys are that
    client's own.
    """
    said: dict[str, str] = {}
    for line in _read(file).splitlines():
        key, colon, value = line.partition(":")
        value = value.strip()
        quoted = re.fullmatch(r"""(["'])(.*)\1(\s+#.*)?""", value)
        plain = quoted[2] if quoted else re.split(r"\s+#", value)[0]
        if colon and plain and not key.startswith((" ", "#")):
            said[key.strip()] = plain
    names = {"url": "url", "agent_key": "agent_key", "user_key": "user_key", "auth": "token"}
    return validated({names[key]: value for key, value in said.items() if key in names}, str(file))

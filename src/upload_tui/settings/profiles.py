"""The settings file: its pydantic models, and errors that name the file, the line and the nearest known key.

Used by `layers` only if there is something to validate, since it imports pydantic.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    create_model,
)

from upload_tui.addresses import has_user_info
from upload_tui.errors import SettingsError, did_you_mean
from upload_tui.files import failure_reason, parse_toml, read_text
from upload_tui.settings.keys import KEYS, Key

__all__ = [
    "KINDS",
    "Profile",
    "SettingsFile",
    "read_ddsclient",
    "read_settings_file",
    "settings_schema",
    "validate_values",
]


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("unknown time zone; use a name like Europe/Berlin or UTC") from error
    return name


def _check_command(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError("a quotation mark is not closed") from error
    if not words:
        raise ValueError("the command is empty")
    return command


def _join_words(command: object) -> object:
    """A command that is given as a list, quoted as in a shell."""
    is_list = isinstance(command, list | tuple) and all(isinstance(word, str) for word in command)
    return shlex.join(command) if is_list else command  # type: ignore[arg-type]


def _check_program(command: tuple[str, ...]) -> tuple[str, ...]:
    if not command[0].strip():
        raise ValueError("the program is empty")
    return command


def _check_web_address(address: str) -> str:
    if not re.match(r"https?://[^\s/{}]+(/|$)", address):
        raise ValueError("it does not start with https:// or http:// and a host")
    if has_user_info(address):
        raise ValueError("it contains a user or a password")
    return address


def _as_tuple(value: object) -> object:
    """Accept a single string for a list."""
    return (value,) if isinstance(value, str) else value


def _check_boolean(value: object, info: ValidationInfo) -> object:
    """Accept only true and false in a file; a variable can only hold text, so text such as `yes` is valid there."""
    if info.context == _IN_FILE and not isinstance(value, bool):
        raise ValueError("it must be true or false")
    return value


_IN_FILE = "file"
Boolean = Annotated[bool, BeforeValidator(_check_boolean)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Command = Annotated[str, AfterValidator(_check_command), BeforeValidator(_join_words)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class _Table(BaseModel):
    # A value may be a secret, so pydantic's errors must not contain it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ViewSettings(_Table):
    """A view of the dashboard, under its name."""

    query: str = Field(default="", description="which uploads, in the language of the search")
    order: str | None = Field(default=None, description="a sort key, - before it for the other direction")
    columns: Strings = Field(default=(), description="columns of the table, each as name or name:width")
    key: str = Field(default="", description="key that shows the view")


class CommandSettings(_Table):
    """A command on uploads, under its name."""

    command: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_check_program)] = Field(
        description="a program with arguments (a list; no shell); {name} and other fields of an upload are replaced"
    )
    key: str = Field(default="", description="key that runs the command")
    confirm: Boolean = Field(default=False, description="ask before it runs: true, false")
    output: Literal["discard", "notice", "show"] = Field(
        default="discard", description="where its output goes: discard, notice (a notification), show (a dialog)"
    )
    timeout: Seconds | None = Field(
        default=None, description="seconds after which it is killed; 60 if not set, never if its output is discarded"
    )


KINDS: Mapping[str, Any] = {
    "text": str,
    "secret": SecretStr,
    "path": Path,
    "boolean": Boolean,
    "count": Annotated[int, Field(ge=1, le=100_000)],
    "seconds": Seconds,
    "seconds or zero": Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)],
    "zone": Annotated[str, AfterValidator(_check_zone)],
    "web address": Annotated[str, AfterValidator(_check_web_address)],
    "command": Command,
    "program": Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_check_program)],
    "list": tuple[str, ...],
    "texts": Strings,
    "bindings": dict[str, str],
    "views": dict[str, ViewSettings],
    "commands": dict[str, CommandSettings],
    "hooks": dict[str, Command],
}
"""The types of the settings' values; `texts` is a list that may be written as one text."""


def _type_of(key: Key) -> Any:
    if not key.choices:
        return KINDS[key.kind]
    choice = Literal[key.choices]  # type: ignore[name-defined]
    return choice if key.kind == "text" else tuple[choice, ...]


if TYPE_CHECKING:

    class Profile(_Table):
        """A service, and how to watch it. All keys are optional."""
else:
    Profile = create_model(
        "Profile",
        __base__=_Table,
        __doc__="A service, and how to watch it. All keys are optional.",
        __module__=__name__,
        **{key.name: (_type_of(key) | None, Field(None, description=key.help)) for key in KEYS},
    )


class SettingsFile(_Table):
    """The content of `config.toml`."""

    default_profile: str | None = Field(None, description="the profile to use if none is chosen")
    profiles: dict[str, Profile] = Field(default_factory=dict, description="by name")
    views: dict[str, ViewSettings] = Field(default_factory=dict, description="of every profile, by name")
    commands: dict[str, CommandSettings] = Field(default_factory=dict, description="of every profile, by name")

    def shared_values(self) -> dict[str, Any]:
        """The views and commands that every profile has."""
        return {key: value for key, value in (("views", self.views), ("commands", self.commands)) if value}

    def profile_values(self, name: str) -> dict[str, Any]:
        """The values of a profile that the file has, and the shared ones."""
        values = {key: getattr(self.profiles[name], key) for key in self.profiles[name].model_fields_set}
        return {
            **values,
            **{key: {**shared, **(values.get(key) or {})} for key, shared in self.shared_values().items()},
        }


def settings_schema() -> Mapping[str, Any]:
    """The JSON schema of the settings file, for editors. TOML has no null, so no value may be null."""
    schema = SettingsFile.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        model["properties"] = {key: _without_null(value) for key, value in model["properties"].items()}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Settings of upload-tui"}


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    types = [entry for entry in schema.get("anyOf", ()) if entry != {"type": "null"}]
    others = {key: value for key, value in schema.items() if key not in {"anyOf", "default", "title"}}
    return {**(types[0] if types else {}), **others}


def read_settings_file(file: Path) -> SettingsFile:
    """Parse and validate a settings file.

    Raises:
        SettingsError: it cannot be read, is not TOML, or has an invalid key or value.
    """
    text = _read_text(file)
    try:
        tree = parse_toml(text)
    except ValueError as error:
        raise SettingsError(f"{file} is not TOML: {error}", "Correct that line.") from error
    try:
        return SettingsFile.model_validate(tree, context=_IN_FILE)
    except ValidationError as error:
        raise _validation_error(error, str(file), text) from error


def validate_values(values: Mapping[str, object], source: str) -> Mapping[str, Any]:
    """Validate values by the keys of a profile, and convert them to its types.

    Raises:
        SettingsError: a value is invalid; `source` is where it comes from.
    """
    try:
        profile = Profile.model_validate(dict(values))
    except ValidationError as error:
        raise _validation_error(error, source) from error
    return {key: getattr(profile, key) for key in values}


def _read_text(file: Path) -> str:
    try:
        return read_text(file)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 text", "Save it as UTF-8.") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {failure_reason(error)}", "Check its permissions.") from error


def _validation_error(error: ValidationError, source: str, text: str = "") -> SettingsError:
    """The first problem. Never contains the value, which may be a secret."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    names = [str(part) for part in problem["loc"] if isinstance(part, str)]
    key = _key_of(names)
    line = _find_line(names, text)
    where = f"{source}, line {line}" if line else source
    if problem["type"] == "extra_forbidden":
        known = list(_known_keys(names, is_file=bool(text)))
        hint = did_you_mean(names[-1], known, otherwise=f"Known keys: {', '.join(known)}.")
        return SettingsError(f"{where}: unknown key {key}", hint)
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "it must be", 1)
    reason = _REASONS.get(problem["type"], message)
    # Without a colon after the name of a secret: what follows one is hidden.
    return SettingsError(f"{where} has an invalid {key} ({reason})", "Correct the value, or remove the key.")


_REASONS: Mapping[str, str] = {
    "string_type": "it must be a text in quotation marks",
    "path_type": "it must be a text in quotation marks",
    "tuple_type": "it must be a list, such as ['a', 'b']",
    "dict_type": "it must be a table",
    "model_type": "it must be a table",
    "model_attributes_type": "it must be a table",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "missing": "it is missing",
    "float_type": "it must be a number",
    "float_parsing": "it must be a number",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "too_short": "it is empty",
}
"""What is wrong, by pydantic's type of error; other errors have sentences that can be shown."""
_TABLES: Mapping[str, type[BaseModel]] = {"views": ViewSettings, "commands": CommandSettings}
"""Keys of a profile that hold tables by name."""


def _key_of(names: list[str]) -> str:
    """How an error names the place in a settings file: the key of the profile, or that of a table in it."""
    inner = names[2:] if names[:1] == ["profiles"] and len(names) > 2 else names
    return (
        ".".join(inner)
        if inner[0] in _TABLES
        else inner[0]
        if inner is not names or names[:1] != ["profiles"]
        else names[-1]
    )


def _known_keys(names: list[str], *, is_file: bool) -> Iterable[str]:
    """The keys that are valid in the table in which an unknown key was found."""
    table = next((_TABLES[name] for name in names[-3:-2] if name in _TABLES), None)
    return (table or (SettingsFile if len(names) == 1 and is_file else Profile)).model_fields


def _find_line(names: list[str], text: str) -> int:
    """The line (from 1) of a key below its table's heading, else of the nearest table around it.

    0 if it is not found, as with inline tables and other rare forms of TOML.
    """
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
    """Read the settings file of the published client, as the values of a profile.

    It is YAML with one `key: value` per line; only that form is parsed. Keys that a profile does not have are ignored.

    Raises:
        SettingsError: it cannot be read, is YAML of another form, or a value is invalid.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_read_text(file).splitlines(), 1):
        if not re.fullmatch(r"\s*(#.*|---|\.\.\.)?\s*", line):
            key, value = _parse_yaml_line(line, f"{file}, line {number}")
            found[key] = value
    names = {"url": "url", "agent_key": "agent_key", "user_key": "user_key", "auth": "token"}
    return validate_values({names[key]: value for key, value in found.items() if key in names and value}, str(file))


_YAML_LINE = re.compile(
    r"""(?P<quote1>["']?)(?P<key>[\w.-]+)(?P=quote1)\s*:(?:\s+(?:"(?P<double>[^"\\]*)"|'(?P<single>(?:[^']|'')*)'"""
    r"""|(?P<plain>[^\s"'#\[\]{}|>&*!%@`,][^\n]*?)))?(?:\s+\#.*)?\s*"""
)


def _parse_yaml_line(line: str, where: str) -> tuple[str, str]:
    """Parse `key: value`, with or without quotation marks and a comment."""
    match = _YAML_LINE.fullmatch(line)
    if match is None:
        hint = "Write one `key: value` on each line, from its first column."
        raise SettingsError(f"{where}: this form of YAML is not supported", hint)
    single = match["single"]
    return match["key"], match["double"] or (single and single.replace("''", "'")) or match["plain"] or ""

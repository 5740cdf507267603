"""`upload-tui config`: the path of the settings file, the effective settings with their sources, a template, the schema."""

import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from upload_tui.cli.support.options import effective_settings, service_options, settings_paths
from upload_tui.cli.support.output import Column, Printer, echo_message, output_option
from upload_tui.cli.support.preferences import dashboard_preferences
from upload_tui.errors import SettingsError
from upload_tui.files import make_private_folder, private_opener, write_hint
from upload_tui.redaction import HIDDEN
from upload_tui.settings import KEYS, Flags, ServiceSettings

__all__ = ["command"]

_TEMPLATE = """\
# Settings of upload-tui. Flags override variables (UPLOAD_TUI_URL and so on), variables override this file.
# If it holds a secret: chmod 600. Authenticate by one of token_command, token_file, token_keyring, or agent_key with user_key.

# default_profile = "work"

# [profiles.work]
"""

_COLUMNS = (
    Column("SETTING", lambda record: record["setting"]),
    Column("VALUE", lambda record: _value_text(record["value"]), min_width=12),
    Column("FROM", lambda record: record["from"]),
)


def _value_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@click.group(help="Show, locate or create the settings.")
def command() -> None:
    """Group of the commands below."""


@command.command("path", help="Print the path of the settings file.")
def path() -> None:
    """Print the path of the settings file."""
    click.echo(settings_paths().settings_file)


@command.command("show", help="Print the effective settings and where each comes from.")
@service_options
@output_option
def show(output: str | None, *, flags: Flags) -> None:
    """Print the effective settings, then what `watch` would refuse."""
    settings = effective_settings(flags, needs_service=False)
    Printer(output, _COLUMNS, fields=("setting", "value", "from")).print_records(
        {"setting": key, "value": _displayed_value(settings, key), "from": source}
        for key, source in settings.sources.items()
    )
    dashboard_preferences(settings)


def _program_of(command: str) -> str:
    """The program of a command; its arguments may be secrets."""
    return " ".join(_without_arguments(shlex.split(command)))


def _without_arguments(words: Sequence[str]) -> list[str]:
    return [*words[:1], HIDDEN] if len(words) > 1 else [*words]


def _displayed_value(settings: ServiceSettings, name: str) -> Any:
    """The value of a setting without secrets."""
    value, kind = settings.values[name], next(key.kind for key in KEYS if key.name == name)
    match kind:
        case "secret":
            return HIDDEN
        case "command":
            return _program_of(value)
        case "program":
            return _without_arguments(value)
        case "hooks":
            return {query: _program_of(program) for query, program in value.items()}
        case "commands":
            return {name: _without_arguments(one.command) for name, one in value.items()}
        case "views":
            return {name: view.model_dump(exclude_unset=True) for name, view in value.items()}
        case "path":
            return str(value)
    return [*value] if isinstance(value, tuple) else value


@command.command("schema", help="Print the JSON schema of the settings file, for editors.")
def schema() -> None:
    """Print the JSON schema."""
    from upload_tui.settings import settings_schema

    click.echo(json.dumps(settings_schema(), indent=2))


@command.command("init", help="Create a commented settings file, unless there is one.")
def init() -> None:
    """Create the settings file, readable only by its owner."""
    file = settings_paths().settings_file
    try:
        make_private_folder(file.parent)
        opened = open(file, "x", encoding="utf-8", opener=private_opener)  # noqa: SIM115  # closed below; a Path has no opener
    except FileExistsError as error:
        raise SettingsError(f"The settings file exists: {file}", "Edit it, or move it away") from error
    except OSError as error:
        raise _write_error(file, error) from error
    try:
        with opened:
            opened.write(_template())
    except OSError as error:
        with suppress(OSError):
            file.unlink(missing_ok=True)  # an empty file would stop the next try
        raise _write_error(file, error) from error
    click.echo(file)
    echo_message("edit it, then run `upload-tui doctor`.")


def _template() -> str:
    """The commented settings file: each key with what it means and an example; tables come last."""
    keys = sorted((key for key in KEYS if key.example), key=lambda key: key.is_table)
    examples = ((key, key.example if key.is_table else f"{key.name} = {key.example}") for key in keys)
    lines = (f"## {key.help}\n# " + example.replace("\n", "\n# ") + "\n" for key, example in examples)
    return _TEMPLATE + "".join(lines)


def _write_error(file: Path, error: OSError) -> SettingsError:
    return SettingsError(f"{file} cannot be written: {error.strerror}", write_hint(error))

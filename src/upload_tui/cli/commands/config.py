"""`upload-tui config`: the path of the settings file, the effective settings with their sources, a template, the schema."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from upload_tui.cli.support.options import effective_settings, service_options, settings_paths
from upload_tui.cli.support.output import Column, Printer, echo_err, output_option
from upload_tui.errors import SettingsError
from upload_tui.files import make_private_folder, private_opener, write_hint
from upload_tui.redaction import HIDDEN
from upload_tui.settings import Flags, ServiceSettings

__all__ = ["command"]

_TEMPLATE = """\
# Settings of upload-tui. Flags override variables (UPLOAD_TUI_URL and so on), variables override this file.
# If it holds a secret: chmod 600

# default_profile = "work"

# [profiles.work]
# url = "https://dds.example.org"
# projects = ["My project"]            # ids or names; by default all projects
# command = ["~/bin/list-uploads"]     # in place of a url: a program that prints the uploads; see `upload-tui source --help`
# timeout = 30                         # how long one run of that program may take, in seconds
#
# Credentials, one of:
# token_command = "pass show dds/token"
# token_file = "~/.config/dds-token"
# token_keyring = "work"               # after: keyring set upload-tui work
# agent_key = "…"                      # with user_key: exchanged for a token, renewed before it expires
# user_key = "…"
#
# refresh = 1.0                        # shortest polling interval, in seconds; 15 for a command
# requests_per_minute = 60             # the most requests to the service in a minute
# stuck_after = 900                    # age of a stuck upload while no usual times are known, in seconds
# failures_for = 86400                # how long a failure counts as trouble, in seconds
# timezone = "Europe/Berlin"           # time zone on screen; by default the system's
# theme = "upload-dark"
# signs = "ascii"                      # or "unicode"; by default chosen by the locale
# animations = false                   # by default on, and off over ssh
# columns = ["stage", "name:40", "size", "since", "note"]
# alerts = ["bell", "desktop"]         # how to alert you when uploads fail
# alert_repeat = 60                    # seconds until failures of the same cause are alerted again; 0 alerts each
# upload_url = "https://dds.example.org/ui/{project_id}/{id}"    # the page that o opens
# on_error = "mail -s failed me"       # program to run when uploads fail; reads JSON lines; no shell: for pipes, sh -c '…'
# ca_bundle = "/etc/ssl/own-ca.pem"
#
# [profiles.work.views.night]          # a view of the dashboard; [views.night] for every profile
# query = "is:trouble -by:robot"       # as in the search
# order = "since"                      # or "-since": the other direction
# columns = ["name", "since", "note"]
# key = "f2"
#
# [profiles.work.commands.page]        # a command on uploads; [commands.page] for every profile
# command = ["notify-send", "--", "{name}", "{error_message}"]    # no shell; {id}, {stage} and others: see the README
# key = "b"
# confirm = true                       # ask first
# output = "notice"                    # or "show", "discard"
#
# [profiles.work.on_change]            # programs by query; they read the changes as JSON lines
# "stage:verified name:.bam" = "~/bin/publish"
#
# [profiles.work.keys]                 # keys of actions; the ids are in the README
# quit = "q,x"
# "table.down" = "j,down,e"
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


@command.command("show", help="Print the effective settings and their sources.")
@service_options
@output_option
def show(output: str | None, *, flags: Flags) -> None:
    """Print the effective settings."""
    settings = effective_settings(flags, needs_service=False)
    Printer(output, _COLUMNS, fields=("setting", "value", "from")).print_records(
        {"setting": key, "value": _displayed_value(settings, key), "from": source}
        for key, source in settings.sources.items()
    )


_VALUES: Mapping[str, Callable[[ServiceSettings], Any]] = {
    "url": lambda settings: settings.url,
    "command": lambda settings: _without_arguments(settings.command),
    "timeout": lambda settings: settings.timeout_seconds,
    "projects": lambda settings: list(settings.projects),
    "token_command": lambda settings: _program_of(settings.token_command),
    "token_file": lambda settings: str(settings.token_file),
    "token_keyring": lambda settings: settings.token_keyring,
    "refresh": lambda settings: settings.refresh_seconds,
    "requests_per_minute": lambda settings: settings.requests_per_minute,
    "stuck_after": lambda settings: settings.stuck_after_seconds,
    "failures_for": lambda settings: settings.failures_for_seconds,
    "timezone": lambda settings: str(settings.zone),
    "theme": lambda settings: settings.theme,
    "signs": lambda settings: settings.signs,
    "animations": lambda settings: settings.animations,
    "columns": lambda settings: list(settings.columns),
    "keys": lambda settings: dict(settings.keys),
    "views": lambda settings: {name: view.model_dump(exclude_unset=True) for name, view in settings.views.items()},
    "commands": lambda settings: {
        name: _without_arguments(command.command) for name, command in settings.commands.items()
    },
    "upload_url": lambda settings: settings.upload_url,
    "on_change": lambda settings: {query: _program_of(command) for query, command in settings.on_change.items()},
    "on_error": lambda settings: _program_of(settings.on_error),
    "alerts": lambda settings: list(settings.alerts),
    "alert_repeat": lambda settings: settings.alert_repeat_seconds,
    "ca_bundle": lambda settings: str(settings.ca_bundle),
}


def _program_of(command: str) -> str:
    """The program of a command; its arguments may be secrets."""
    return " ".join(_without_arguments(shlex.split(command)))


def _without_arguments(words: Sequence[str]) -> list[str]:
    return [*words[:1], HIDDEN] if len(words) > 1 else [*words]


def _displayed_value(settings: ServiceSettings, key: str) -> Any:
    """The value of a setting; a setting that is not listed above counts as a secret."""
    return _VALUES[key](settings) if key in _VALUES else HIDDEN


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
            opened.write(_TEMPLATE)
    except OSError as error:
        file.unlink(missing_ok=True)  # an empty file would stop the next try
        raise _write_error(file, error) from error
    click.echo(file)
    echo_err("upload-tui: edit it, then run `upload-tui doctor`.")


def _write_error(file: Path, error: OSError) -> SettingsError:
    return SettingsError(f"{file} cannot be written: {error.strerror}", write_hint(error))

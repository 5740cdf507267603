"""`upload-tui config`: where settings are, the ones in force and where each came from, and a commented file to begin with."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import click

from upload_tui.cli.support.output import Column, Printer, echo_err, output_option
from upload_tui.cli.support.service import effective_settings, service_options, settings_paths
from upload_tui.errors import SettingsError
from upload_tui.settings import Flags, ServiceSettings

__all__ = ["command"]

_TEMPLATE = """\
# Settings of upload-tui. Flags go before variables (UPLOAD_TUI_URL and so on), variables before this file.
# Keep it to yourself if it holds a secret: chmod 600

# default_profile = "work"

# [profiles.work]
# url = "https://dds.example.org"
# projects = ["My project"]            # ids or names; none means all that the account sees
#
# One way of being let in:
# token_command = "pass show dds/token"
# token_file = "~/.config/dds-token"
# token_keyring = "work"               # after: keyring set upload-tui work
# agent_key = "…"                      # with user_key: exchanged for a token that is renewed before it ends
# user_key = "…"
#
# refresh = 1.0                        # the shortest time between two looks, in seconds
# stuck_after = 900                    # a pending upload of this age looks stuck, in seconds
# timezone = "Europe/Berlin"           # of the times on the screen; this machine's own if left out
# theme = "upload-dark"
# signs = "ascii"                      # or "unicode"; left out, the locale decides
# animations = false                   # on if left out, but off under ssh, where what moves costs bytes
# columns = ["stage", "name:40", "size", "since", "note"]
# alerts = ["bell", "desktop"]         # how to call you when uploads fail
# alert_repeat = 60                    # seconds until failures of the same cause are told again; 0 tells each
# on_error = "mail -s failed me"       # run when uploads fail; reads them as JSON lines
# ca_bundle = "/etc/ssl/own-ca.pem"
#
# [profiles.work.keys]                 # other keys for actions, by the ids in the README
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


@click.group(help="Tell where the settings are, show those in force, or begin a file.")
def command() -> None:
    """Has commands of its own."""


@command.command("path", help="Print where the settings file is looked for.")
def path() -> None:
    """Print it."""
    click.echo(settings_paths().settings_file)


@command.command("show", help="Print the settings in force and where each came from; secrets are masked.")
@service_options
@output_option
def show(output: str | None, *, flags: Flags) -> None:
    """Print them."""
    settings = effective_settings(flags, needs_service=False)
    Printer(output, _COLUMNS).print_records(
        {"setting": key, "value": _displayed_value(settings, key), "from": source}
        for key, source in settings.sources.items()
    )


_VALUES: Mapping[str, Callable[[ServiceSettings], Any]] = {
    "url": lambda settings: settings.url,
    "projects": lambda settings: list(settings.projects),
    "token_command": lambda settings: settings.token_command,
    "token_file": lambda settings: str(settings.token_file),
    "token_keyring": lambda settings: settings.token_keyring,
    "refresh": lambda settings: settings.refresh_seconds,
    "stuck_after": lambda settings: settings.stuck_after_seconds,
    "timezone": lambda settings: str(settings.zone),
    "theme": lambda settings: settings.theme,
    "signs": lambda settings: settings.signs,
    "animations": lambda settings: settings.animations,
    "columns": lambda settings: list(settings.columns),
    "keys": lambda settings: dict(settings.keys),
    "on_error": lambda settings: settings.on_error,
    "alerts": lambda settings: list(settings.alerts),
    "alert_repeat": lambda settings: settings.alert_repeat_seconds,
    "ca_bundle": lambda settings: str(settings.ca_bundle),
}


def _displayed_value(settings: ServiceSettings, key: str) -> Any:
    """A value; whatever is not known to be harmless is a secret."""
    return _VALUES[key](settings) if key in _VALUES else "(hidden)"


@command.command("schema", help="Print the JSON schema of the settings file, for editors.")
def schema() -> None:
    """Print it."""
    from upload_tui.settings import settings_schema

    click.echo(json.dumps(settings_schema(), indent=2))


@command.command("init", help="Write a commented settings file to begin with; an existing one is left alone.")
def init() -> None:
    """Write it, for nobody else to read."""
    file = settings_paths().settings_file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            file.chmod(0o600)
            opened.write(_TEMPLATE)
    except FileExistsError as error:
        raise SettingsError(f"There is a settings file already: {file}", "Edit it, or move it away") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}", "Check its permissions") from error
    click.echo(file)
    echo_err("upload-tui: edit it, then try `upload-tui doctor`.")

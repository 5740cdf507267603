"""The table of settings: each key of a profile, with its kind, default, flag, variable and help.

Flags, environment variables, the validated profile, the template, `config show`, the schema and the README's table come from it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

__all__ = [
    "CREDENTIAL_KEYS",
    "DEFAULTS",
    "ENV_PREFIX",
    "FLAG_KEYS",
    "KEYS",
    "PER_SERVICE_KEYS",
    "PROFILE_VARIABLE",
    "VARIABLES",
    "Key",
]

ENV_PREFIX = "UPLOAD_TUI_"
PROFILE_VARIABLE = f"{ENV_PREFIX}PROFILE"


class Key(Struct, frozen=True):
    """One key of a profile.

    Attributes:
        name: in the settings file.
        help: what it means.
        example: of its value, as TOML, for the template, or a whole table of the profile `work`; empty leaves it out.
        kind: of its value, see `profiles.KINDS`. A `secret` is never shown; a `command` or a `program` without its arguments.
        default: None if there is none.
        choices: all values of a text or of the parts of a list; empty if any is valid.
        flag: the option of the command line; empty if there is none.
        flag_help: what the option means, as a sentence; empty for `help`.
        variable: the environment variable; None if there is none, empty for the usual name.
        is_credential: part of a way to authenticate.
        is_per_service: useless or harmful at another service; true for credentials.
        is_list: its variable holds a comma-separated list.
    """

    name: str
    help: str
    example: str = ""
    kind: str = "text"
    default: Any = None
    choices: tuple[str, ...] = ()
    flag: str = ""
    flag_help: str = ""
    variable: str | None = ""
    is_credential: bool = False
    is_per_service: bool = False
    is_list: bool = False

    @property
    def is_free_text(self) -> bool:
        """Whether any text is a valid value: the key's variable is then read without importing pydantic."""
        return self.kind in {"text", "secret"} and not self.choices

    @property
    def is_table(self) -> bool:
        """Whether it is a table in the settings file, which stands below the other keys of its profile."""
        return self.kind in {"bindings", "views", "commands", "hooks"}

    @property
    def variable_name(self) -> str | None:
        """The environment variable; None if there is none."""
        return self.variable if self.variable is None else self.variable or f"{ENV_PREFIX}{self.name.upper()}"


KEYS = (
    Key(
        "url",
        "URL of the service, with or without /api/v1",
        '"https://dds.example.org"',
        flag="--url",
        flag_help="Service, with or without /api/v1 (or UPLOAD_TUI_URL).",
        is_per_service=True,
    ),
    Key(
        "command",
        "a program with arguments (a list; no shell) that prints the uploads, in place of a url; see `upload-tui source`",
        '["~/bin/list-uploads"]',
        kind="program",
        flag="--command",
        flag_help="Source to watch in place of a service: a command that prints uploads. It is split into words as a shell does, and "
        "run without a shell. See `upload-tui source --help`.",
        variable=None,
        is_per_service=True,
    ),
    Key(
        "timeout",
        "how long one run of command may take, in seconds",
        "30",
        kind="seconds",
        default=30.0,
        is_per_service=True,
    ),
    Key(
        "projects",
        "ids or names; all visible projects if not set",
        '["My project"]',
        kind="texts",
        default=(),
        flag="--project",
        flag_help="Project id or name; may be repeated.",
        variable="UPLOAD_TUI_PROJECT",
        is_per_service=True,
    ),
    Key("token", "the token itself; a command, a file or the keyring is safer", kind="secret", is_credential=True),
    Key(
        "token_command", "a command that prints the token", '"pass show dds/token"', kind="command", is_credential=True
    ),
    Key(
        "token_file",
        "a file with the token on its first line",
        '"~/.config/dds-token"',
        kind="path",
        flag="--token-file",
        flag_help="File with the token (UPLOAD_TUI_TOKEN is the token itself).",
        is_credential=True,
    ),
    Key(
        "token_keyring",
        "user name of the token in the keyring, whose service name is upload-tui",
        '"work"  # after: keyring set upload-tui work',
        is_credential=True,
    ),
    Key("agent_key", "exchanged for a token together with user_key", '"…"', kind="secret", is_credential=True),
    Key("user_key", "exchanged for a token together with agent_key", '"…"', kind="secret", is_credential=True),
    Key(
        "refresh",
        "shortest time between two updates, in seconds; 15 between two runs of command if not set",
        "1.0",
        kind="seconds",
        default=1.0,
    ),
    Key(
        "requests_per_minute",
        "the most requests in a minute; quiet projects are read more rarely so that it is enough",
        "60",
        kind="count",
        default=60,
    ),
    Key(
        "stuck_after",
        "age at which a pending upload is stuck, in seconds; less if similar uploads are much faster, more if they take longer",
        "900",
        kind="seconds",
        default=900.0,
    ),
    Key(
        "failures_for",
        "how long a failed upload counts as trouble, in seconds; after that it is history",
        "86400",
        kind="seconds",
        default=86400.0,
    ),
    Key(
        "timezone",
        "time zone of displayed times, such as Europe/Berlin; the local zone if not set",
        '"Europe/Berlin"',
        kind="zone",
    ),
    Key("theme", "name of a theme", '"upload-dark"'),
    Key(
        "signs",
        "characters to draw with: unicode, ascii; what the locale supports if not set",
        '"ascii"',
        choices=("unicode", "ascii"),
    ),
    Key("animations", "enable animations: true, false; if not set, true, but false under ssh", "false", kind="boolean"),
    Key(
        "columns",
        "columns of the table, each as name or name:width",
        '["stage", "name:40", "size", "since", "note"]',
        kind="texts",
        is_list=True,
    ),
    Key(
        "keys",
        "key bindings, by action id",
        '[profiles.work.keys]  # the ids are in the README\nquit = "q,x"\n"table.down" = "j,down,e"',
        kind="bindings",
        variable=None,
    ),
    Key(
        "views",
        "tables by name, each a view with query, order, columns and key; [views.NAME] for all",
        '[profiles.work.views.night]\nquery = "is:trouble -by:robot"  # as in the search\n'
        'order = "since"  # or "-since": the other direction\ncolumns = ["name", "since", "note"]\nkey = "f2"',
        kind="views",
        variable=None,
    ),
    Key(
        "commands",
        "tables by name, each a command on uploads with command, key, confirm, output, timeout; [commands.NAME] for all",
        "[profiles.work.commands.page]\n"
        'command = ["notify-send", "--", "{name}", "{error_message}"]  # {id}, {stage} and others: see the README\n'
        'key = "b"\nconfirm = true  # ask first\noutput = "notice"  # or "show", "discard"',
        kind="commands",
        variable=None,
    ),
    Key(
        "upload_url",
        "address of an upload's page, which o opens: https://…/{project_id}/{id}",
        '"https://dds.example.org/ui/{project_id}/{id}"',
        kind="web address",
        is_per_service=True,
        variable=None,
    ),
    Key(
        "on_error",
        "a program with arguments (no shell) to run when uploads fail; reads them as JSON lines on standard input",
        "\"mail -s failed me\"  # for pipes: sh -c '…'",
        kind="command",
    ),
    Key(
        "on_change",
        "programs with arguments (no shell) by query: each runs on matching changes, which it reads as JSON lines",
        '[profiles.work.on_change]\n"stage:verified name:.bam" = "~/bin/publish"',
        kind="hooks",
        variable=None,
    ),
    Key(
        "alerts",
        "how to alert when uploads fail, become stuck or are not whole, besides a notification on the screen: bell, desktop",
        '["bell", "desktop"]',
        kind="list",
        choices=("bell", "desktop"),
        is_list=True,
    ),
    Key(
        "alert_repeat",
        "shortest time between two alerts for the same cause, in seconds; 0 alerts for every failure",
        "60",
        kind="seconds or zero",
        default=60.0,
    ),
    Key("ca_bundle", "trusted certificates, instead of the default ones", '"/etc/ssl/own-ca.pem"', kind="path"),
)

VARIABLES: Mapping[str, Key] = MappingProxyType({name: key for key in KEYS if (name := key.variable_name) is not None})
FLAG_KEYS: Mapping[str, Key] = MappingProxyType({key.name: key for key in KEYS if key.flag})
DEFAULTS: Mapping[str, Any] = MappingProxyType({key.name: key.default for key in KEYS if key.default is not None})
CREDENTIAL_KEYS = frozenset(key.name for key in KEYS if key.is_credential)
PER_SERVICE_KEYS = CREDENTIAL_KEYS | {key.name for key in KEYS if key.is_per_service}

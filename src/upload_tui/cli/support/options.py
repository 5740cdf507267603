"""The options that name a service, the settings that result from them, and their completion in a shell."""

import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct, field
from msgspec.structs import replace

from upload_tui import text as texts
from upload_tui.cli.support.output import echo_message
from upload_tui.errors import SettingsError, UsageError
from upload_tui.settings import (
    COMMAND_LINE,
    FLAG_KEYS,
    PER_SERVICE_KEYS,
    Flags,
    Key,
    ServiceSettings,
    SettingsPaths,
    read_display_settings,
    read_settings,
)

if TYPE_CHECKING:
    from upload_tui.monitor import Where

__all__ = [
    "COUNT",
    "FilePath",
    "NumberRange",
    "Since",
    "complete",
    "effective_display_settings",
    "effective_settings",
    "multi_service_options",
    "parse_seconds",
    "parse_since",
    "service_options",
    "settings_for_profiles",
    "settings_from",
    "settings_paths",
    "where_option",
]


class FilePath(click.Path):
    """The path of a file, which may not exist yet; of a folder with `is_folder`."""

    def __init__(self, *, is_folder: bool = False) -> None:
        super().__init__(path_type=Path, dir_okay=is_folder, file_okay=not is_folder)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse an empty path, which would be the working directory."""
        if not os.fspath(value):
            self.fail("the path is empty.", param, ctx)
        return super().convert(value, param, ctx)


class NumberRange(click.FloatRange):
    """A range of numbers. `nan` is outside of it, although it is neither too small nor too large."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse `nan`."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


COUNT = click.IntRange(1, sys.maxsize)
"""The most of something to print: no more than Python can count in an iteration."""


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a service; the command gets them as one `flags` argument."""

    @wraps(command)
    def with_flags(*arguments: Any, profile: Sequence[str] = (), **others: Any) -> Any:
        flags, others = _pop_flags(others)
        names = [*dict.fromkeys(profile)]
        if len(names) > 1:
            hint = "Run the command once for each. Only watch and metrics combine several."
            raise UsageError(f"One --profile is allowed here, not {' and '.join(names)}", hint)
        return command(*arguments, flags=replace(flags, profile=names[0] if names else None), **others)

    # `multiple`, because click would use the last one without a word.
    profile = click.option("--profile", metavar="NAME", multiple=True, help="Profile in the settings file.")
    return _add_options(with_flags, profile)


def multi_service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the same options with a repeatable `--profile`; the command gets the flags of each profile, at least one."""

    @wraps(command)
    def with_flags(*arguments: Any, profile: Sequence[str] = (), **others: Any) -> Any:
        flags, others = _pop_flags(others)
        each = tuple(replace(flags, profile=name) for name in dict.fromkeys(profile)) or (flags,)
        return command(*arguments, flags=each, **others)

    profiles = click.option(
        "--profile", metavar="NAME", multiple=True, help="Profile in the settings file; repeat it to combine services."
    )
    return _add_options(with_flags, profiles)


def _pop_flags(options: dict[str, Any]) -> tuple[Flags, dict[str, Any]]:
    """Split the options into those that name a service, without the profile, and the others."""
    values = {name: options.pop(_parameter_name(key)) for name, key in FLAG_KEYS.items()}
    given = {name: value for name, value in values.items() if value}
    return Flags(given, insecure_http=options.pop("insecure_http")), options


def _add_options(command: Callable[..., Any], profile: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--debug", is_flag=True, expose_value=False, help="Write a log; print the traceback of an error."),
        click.option("--insecure-http", is_flag=True, help="Allow plain http:// to other machines."),
        profile,
        *(_setting_option(key) for key in reversed([*FLAG_KEYS.values()])),
    ):
        command = option(command)
    return command


def _parameter_name(key: Key) -> str:
    """The name of a setting's parameter, which no option of a command has."""
    return f"setting_{key.name}"


def _setting_option(key: Key) -> Callable[..., Any]:
    """The option of a setting; what click cannot parse is validated with the other settings."""
    kinds: dict[str, Any] = {"path": FilePath(), "program": parse_command}
    return click.option(
        key.flag,
        _parameter_name(key),
        type=click.Choice(key.choices) if key.choices else kinds.get(key.kind, str),
        metavar=key.flag.rpartition("-")[2].upper(),
        multiple=key.is_list or key.kind == "texts",
        help=key.flag_help or f"{key.help[0].upper()}{key.help[1:]}.",
    )


def settings_paths() -> SettingsPaths:
    """The settings files of this machine."""
    from upload_tui.files import config_file, home_folder

    return SettingsPaths(config_file(), home_folder() / ".ddsclient")


def settings_from(flags: Flags, *, needs_service: bool = True) -> ServiceSettings:
    """Read the effective settings; without `needs_service` the URL may be empty."""
    return read_settings(os.environ, flags, settings_paths(), needs_service=needs_service)


def effective_settings(flags: Flags, *, needs_service: bool = True) -> ServiceSettings:
    """Read the effective settings and print their warnings."""
    return _report_warnings(settings_from(flags, needs_service=needs_service))


def effective_display_settings() -> ServiceSettings:
    """Read the settings of a dashboard that needs no service of the user's, and print their warnings."""
    return _report_warnings(read_display_settings(os.environ, settings_paths()))


def _report_warnings(settings: ServiceSettings) -> ServiceSettings:
    for warning in settings.warnings:
        echo_message(f"{warning}")
    return settings


def settings_for_profiles(flags: Sequence[Flags]) -> Sequence[ServiceSettings]:
    """Read the settings of each profile.

    Raises:
        SettingsError: a profile is invalid, a setting of one service is given for several, or two profiles name one service.
    """
    all_settings = [effective_settings(each) for each in flags]
    if len(all_settings) > 1:
        _check_distinct_services(all_settings)
    return all_settings


def _check_distinct_services(all_settings: Sequence[ServiceSettings]) -> None:
    """Make sure that no token is sent to another service and that no upload is shown twice."""
    for settings in all_settings:
        for key in sorted(PER_SERVICE_KEYS & settings.sources.keys()):
            source = settings.sources[key]
            if source == COMMAND_LINE or source.startswith("UPLOAD_TUI_"):
                what = f"{source}: {key}" if source == COMMAND_LINE else source
                raise SettingsError(
                    f"{what} belongs to one service, but {len(all_settings)} profiles are selected",
                    "Leave it out: each profile has its own.",
                )
    from upload_tui.cli.access.service import service_of

    profiles: dict[str, str] = {}
    for settings in all_settings:
        other = profiles.setdefault(service_of(settings), settings.profile)
        if other != settings.profile:
            raise SettingsError(
                f"The profiles {other} and {settings.profile} name the same service", "Put their projects into one."
            )


def parse_command(text: str) -> tuple[str, ...]:
    """The program and its arguments, split as a shell does."""
    import shlex

    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise click.BadParameter("a quotation mark is not closed.") from error
    if not words:
        raise click.BadParameter("the command is empty.")
    return words


def parse_seconds(text: str) -> float:
    """A duration in seconds, greater than zero."""
    seconds = texts.parse_duration(text)
    if not seconds:
        raise click.BadParameter(f"{text!r} is not a duration like 90s, 15m, 2h or 1d.")
    return seconds


_MAX_AGO_SECONDS = 1000 * 365 * 86400
"""A longer time ago would be before the first day of the calendar."""


class Since(Struct, frozen=True):
    """A point in time that a user gave: a time, or so long before the command began.

    Exactly one of `ago_seconds` and `on` is not None. `parsed_at` is when the command began, by `time.monotonic`.
    """

    ago_seconds: float | None
    on: datetime | None
    parsed_at: float = field(default_factory=time.monotonic)

    def at(self, now: datetime) -> datetime:
        """The point in time by the clock that says that it is `now`, which may be that of the service."""
        elapsed_seconds = time.monotonic() - self.parsed_at
        return self.on or now - timedelta(seconds=(self.ago_seconds or 0.0) + elapsed_seconds)


def parse_since(text: str) -> Since:
    """A point in time: that long ago, or a date or a time (in UTC without an offset)."""
    seconds = texts.parse_duration(text)
    since = Since(seconds, texts.parse_date(text) if seconds is None else None)
    if (since.on is None) if seconds is None else (seconds > _MAX_AGO_SECONDS):
        raise click.BadParameter(f"{text!r} is neither a duration like 2h nor a time like 2026-03-14T09:26:53Z.")
    return since


def _parse_where(text: str) -> "Where":
    """A query of a command; a mistake is a `QueryError`, and the empty text matches everything."""
    from upload_tui.monitor import needs_marks, parse_query

    where = parse_query(text)
    if needs_marks(where.tree):
        raise UsageError("is:marked is only for the dashboard", "Marks are made there, and end with it")
    return where


def where_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--where` to a command, which gets the parsed query."""
    return click.option(
        "--where",
        type=_parse_where,
        default="",
        metavar="QUERY",
        help="Only uploads that match a query, such as 'is:stuck size>1GB -by:ada'; see Queries in the README.",
    )(command)


_REQUESTS = frozenset(f"{shell}_{what}" for shell in ("bash", "zsh", "fish") for what in ("source", "complete"))
_WORDS_VARIABLES = ("COMP_WORDS", "COMP_CWORD")


def _join_at_colons(words: Sequence[str]) -> list[str]:
    """Undo the splitting of `http://localhost:8902` into five words."""
    joined: list[str] = []
    is_open = False
    for word in words:
        is_colon = set(word) == {":"}
        if joined and (is_open or is_colon):
            joined[-1] += word
        else:
            joined.append(word)
        is_open = is_colon
    return joined


def _add_completion_classes() -> None:
    """Complete words as each shell splits them."""
    from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete
    from click.shell_completion import add_completion_class as add

    class BashWords(BashComplete):
        """Bash splits words at `=` and `:`; click expects an option before its value, and whole values."""

        def get_completion_args(self) -> tuple[list[str], str]:
            args, incomplete = super().get_completion_args()
            return _join_at_colons([word for word in args if word != "="]), incomplete

    class WholeWords(ShellComplete):
        """Other shells replace the whole word, so a value is completed with its option."""

        def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
            found = super().get_completions(args, incomplete)
            option, equals, _ = incomplete.partition("=")
            if not equals or not option.startswith("-"):
                return found
            return [CompletionItem(f"{option}={item.value}", item.type, item.help) for item in found]

    class ZshWords(WholeWords, ZshComplete):
        pass

    class FishWords(WholeWords, FishComplete):
        pass

    for words in (BashWords, ZshWords, FishWords):
        add(words)


def complete(command: click.Command, name: str, variable: str, instruction: str) -> Any:
    """Print the completions that a shell asks for; return the exit code.

    Raises:
        UsageError: no shell asks for them: the variables were set by hand.
    """
    hint = f"Unset {variable}; only a shell's completion sets it."
    if instruction not in _REQUESTS:
        raise UsageError(f"{variable} is not a request of bash, zsh or fish", hint)
    if instruction.endswith("_complete") and not _has_words(instruction):
        raise UsageError(f"{variable} is set, but not {' and '.join(_WORDS_VARIABLES)} as a shell sets them", hint)
    from click.shell_completion import shell_complete

    _add_completion_classes()
    return shell_complete(command, {}, name, variable, instruction)


def _has_words(instruction: str) -> bool:
    """Whether the words to complete are set; fish gives the present word, the others its number."""
    words, current = (os.environ.get(name) for name in _WORDS_VARIABLES)
    return words is not None and current is not None and (instruction.startswith("fish") or current.isdecimal())

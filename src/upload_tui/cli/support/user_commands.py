"""Programs of the user, from the settings: how they run (without a shell, without the terminal), and when.

No data of a service becomes a program or an option.
"""

import asyncio
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, TypeVar

from upload_tui.errors import QueryError, SettingsError
from upload_tui.processes import CommandEnd, end_text, run_command, shell_hint, start_failure_text
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from upload_tui.monitor import StageReached, UploadChange
    from upload_tui.tui import ChangeHook, CommandResult, FailureHook, ProgramRun, UploadCommand, View

__all__ = [
    "HookCommand",
    "change_hooks",
    "configured_commands",
    "failure_hook",
    "merged_entries",
    "merged_keymap",
    "naming_setting",
    "open_command",
    "own_keys",
    "run_program",
]

_TIMEOUT_SECONDS = 60.0
_FIRST_CHECK_SECONDS = 0.01
_LAST_CHECK_SECONDS = 0.5
_ERROR_BYTES = 4096
_detached: "list[subprocess.Popen[bytes]]" = []


async def run_program(title: str, run: "ProgramRun", variables: Mapping[str, str] | None = None) -> "CommandResult":
    """Run a program and return what ran and how it ended; the result ends with `title`.

    It has a session of its own, so that it cannot read from the terminal. With a timeout it is ended when that is over, and when the
    dashboard is left; without one it goes on, and its output is discarded.
    """
    from upload_tui.tui import CommandResult

    environment = {**os.environ, **(variables or {})}
    try:
        if run.timeout_seconds is None:
            ended = await _run_detached(run, environment)
        else:
            ended = await run_command(
                run.arguments, timeout_seconds=run.timeout_seconds, data=run.data.encode(), environment=environment
            )
    except (OSError, ValueError) as error:  # no such file, not executable, too long, or an argument with a NUL in it
        end, is_ok, output, errors = f"not started: {start_failure_text(error)}", False, "", ""
    else:
        is_ok = ended.code == 0
        output, errors = (printed.decode("utf-8", "replace") for printed in (ended.stdout, ended.stderr))
        end = f"killed after {run.timeout_seconds:.0f}s" if ended.code is None else end_text(ended.code)
        lines = errors.strip().splitlines()
        end += f": {lines[0].rstrip('.')}" if lines and ended.code else ""
    hint = "" if is_ok else shell_hint(run.arguments)
    # The arguments may be secrets.
    text = ". ".join(filter(None, (f"{end} · {Path(run.arguments[0]).name} · {title}", hint)))
    return CommandResult(text, is_ok, output, errors) if run.keeps_output else CommandResult(text, is_ok)


async def _run_detached(run: "ProgramRun", environment: Mapping[str, str]) -> CommandEnd:
    """Run a program such as a browser, which goes on when the dashboard is left. asyncio would kill it, and close its pipes."""
    with TemporaryFile() as data, TemporaryFile() as errors:
        data.write(run.data.encode())
        data.seek(0)
        process = subprocess.Popen(  # noqa: ASYNC220, S603
            run.arguments,
            stdin=data,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
            start_new_session=True,
        )
        seconds = _FIRST_CHECK_SECONDS
        _detached.append(process)  # without a reference, Python would warn of it
        while (code := process.poll()) is None:
            await asyncio.sleep(seconds)
            seconds = min(2 * seconds, _LAST_CHECK_SECONDS)
        _detached.remove(process)
        errors.seek(0)
        return CommandEnd(code, b"", errors.read(_ERROR_BYTES))


class HookCommand:
    """The command of the setting `on_error` or of an entry of `on_change`.

    Standard input gets the changes as JSON lines, like those of `upload-tui tail`; the environment gets `UPLOAD_TUI_ID`,
    `UPLOAD_TUI_NAME`, `UPLOAD_TUI_PROJECT` and `UPLOAD_TUI_ERROR` of the last one. Output is discarded, because the terminal
    shows the dashboard; the first line on standard error is part of the result. One run at a time; after a
    minute, and when the dashboard is left, it is ended with all that it has started.

    Args:
        setting: the name of the setting.
        command: the command and its arguments, quoted as in a shell.

    Raises:
        SettingsError: the command is empty, a quotation is not closed, or the program has a field of uploads.
    """

    def __init__(self, setting: str, command: str) -> None:
        self._setting = setting
        try:
            self._arguments = tuple(shlex.split(command))
        except ValueError as error:
            raise SettingsError(f"{setting}: {error}", "Close the quotation.") from error
        if not self._arguments:
            raise SettingsError(f"{setting}: the command is empty", "Set a command, or remove the key.")
        if "{" in self._arguments[0]:
            hint = "No fields are replaced here: the program gets the changes on standard input."
            raise SettingsError(f"{setting}: the program has a field", hint)
        self._lock = asyncio.Lock()

    async def __call__(self, changes: "Sequence[UploadChange]") -> "CommandResult":
        """Run the command for some changes, and return what ran and how it ended."""
        from upload_tui.monitor import change_record
        from upload_tui.tui import ProgramRun

        lines = "".join(f"{json.dumps(change_record(change))}\n" for change in changes)
        run = ProgramRun(self._arguments, lines, timeout_seconds=_TIMEOUT_SECONDS)
        async with self._lock:
            return await run_program(self._setting, run, _environment(changes[-1]))


def failure_hook(services: Mapping[str, ServiceSettings]) -> "FailureHook | None":
    """What runs for failures: the `on_error` of their service, by root URL; None if no service has one.

    Raises:
        SettingsError: a command is invalid.
    """
    hooks = {root: HookCommand("on_error", one.on_error) for root, one in services.items() if one.on_error}

    if len(services) == 1:
        return next(iter(hooks.values()), None)

    async def run(failures: "Sequence[StageReached]") -> "CommandResult | None":
        hook = hooks.get(failures[-1].upload.service)
        return None if hook is None else await hook(failures)

    return run if hooks else None


def _environment(change: "UploadChange") -> dict[str, str]:
    variables = {
        "UPLOAD_TUI_ID": change.upload.id,
        "UPLOAD_TUI_NAME": change.upload.name,
        "UPLOAD_TUI_PROJECT": change.upload.project_name or change.upload.project_id,
        "UPLOAD_TUI_ERROR": getattr(change, "error_message", None) or "",
    }
    # The environment can hold neither NUL nor a lone surrogate.
    return {name: text.replace("\0", "\ufffd").encode("utf-8", "replace").decode() for name, text in variables.items()}


def configured_commands(settings: ServiceSettings) -> "Iterator[UploadCommand]":
    """Yield the commands of the settings.

    Raises:
        SettingsError: a field or a key is invalid.
    """
    from upload_tui.tui import CommandOutput, UploadCommand, check_fields

    keys = own_keys(settings)
    for name, each in settings.commands.items():
        with naming_setting(settings, "commands", name):
            check_fields(each.command)
            default = None if each.output == "discard" else _TIMEOUT_SECONDS
            timeout = each.timeout or default
            arguments = (os.path.expanduser(each.command[0]), *each.command[1:])  # noqa: PTH111  # a Path drops `./`
            yield UploadCommand(
                name, arguments, keys["command", name], each.confirm, CommandOutput(each.output), timeout
            )
    with naming_setting(settings, "upload_url"):
        check_fields(["open", settings.upload_url])


def open_command() -> "UploadCommand":
    """The command that opens an upload's page, unless the settings have one of that name."""
    from upload_tui.tui import UploadCommand

    return UploadCommand("open", ("open" if sys.platform == "darwin" else "xdg-open", "{upload_url}"))


def change_hooks(settings: ServiceSettings, service: str = "") -> "Iterator[ChangeHook]":
    """Yield what runs on changes of a service; nothing in the demo and in a replay. `service` is its root URL among several.

    Raises:
        SettingsError: a query is invalid.
    """
    if not settings.on_change:  # the first frame then needs no parser
        return
    from upload_tui.monitor import needs_marks, parse_query
    from upload_tui.tui import ChangeHook

    for query, command in settings.on_change.items() if settings.url or settings.command else ():
        with naming_setting(settings, "on_change", query):
            where = parse_query(query)
            if needs_marks(where.tree):
                raise SettingsError(
                    "is:marked matches no changes", "Leave it out: uploads are marked on the screen only."
                )
            yield ChangeHook(where, HookCommand("on_change", command), service)


def own_keys(settings: ServiceSettings) -> Mapping[tuple[str, str], str]:
    """The keys of views and commands, by kind and name.

    Raises:
        SettingsError: a key does not exist, or is taken.
    """
    from upload_tui.tui import free_key

    keys: dict[tuple[str, str], str] = {}
    for kind, entries in (("view", settings.views), ("command", settings.commands)):
        for name, entry in entries.items():
            taken = {key: f"the {other_kind} {other}" for (other_kind, other), key in keys.items() if key}
            is_usual = not entry.key or (kind == "command" and (name, entry.key) == ("open", "o"))
            with naming_setting(settings, f"{kind}s", name):
                keys[kind, name] = "" if is_usual else free_key(entry.key, settings.keys, taken)
    return keys


_Entry = TypeVar("_Entry", "View", "UploadCommand")


def merged_entries(
    profiles: Sequence[ServiceSettings], kind: str, read: Callable[[ServiceSettings], "Iterator[_Entry]"]
) -> "list[_Entry]":
    """The views or commands of all profiles, each once.

    Raises:
        SettingsError: two profiles use the same name for different views or commands.
    """
    found: dict[str, tuple[str, _Entry]] = {}
    for settings in profiles:
        for entry in read(settings):
            other, known = found.setdefault(entry.name, (settings.profile, entry))
            if known != entry:
                raise SettingsError(
                    f"The profiles {other} and {settings.profile} have different {kind}s {entry.name}", "Rename one."
                )
    return [entry for _, entry in found.values()]


def merged_keymap(profiles: Sequence[ServiceSettings]) -> Mapping[str, str]:
    """The keys of all profiles by action.

    Raises:
        SettingsError: two profiles give different keys to an action, or a key to different things.
    """
    keymap: dict[str, tuple[str, str]] = {}
    users: dict[str, tuple[str, str]] = {}
    for settings in profiles:
        for action, keys in settings.keys.items():
            other, known = keymap.setdefault(action, (settings.profile, keys))
            if known != keys:
                raise _conflict(other, settings.profile, f"keys to {action}", known, keys)
        used = [(key.strip(), action) for action, keys in settings.keys.items() for key in keys.split(",")]
        used += [(key, f"the {kind} {name}") for (kind, name), key in own_keys(settings).items() if key]
        for key, user in used:
            other, known = users.setdefault(key, (settings.profile, user))
            if known != user and other != settings.profile:
                raise _conflict(other, settings.profile, f"the key {key} to", known, user)
    return {action: keys for action, (_, keys) in keymap.items()}


def _conflict(profile: str, other: str, what: str, value: str, other_value: str) -> SettingsError:
    return SettingsError(
        f"The profiles {profile} and {other} give {what} different things: {value}, and {other_value}",
        "Change one of them, or watch each on its own.",
    )


@contextmanager
def naming_setting(settings: ServiceSettings, key: str, name: str = "") -> "Iterator[None]":
    """Name the place in the settings in errors.

    Raises:
        SettingsError: instead of any error about a value.
    """
    where = f"{settings.sources.get(key, key)}: {key}{f'.{name}' if name else ''}"
    try:
        yield
    except QueryError as error:
        raise SettingsError(f"{where}: query: {error.title}", error.hint) from error
    except SettingsError as error:
        raise SettingsError(f"{where}: {error.title}", error.hint) from error
    except ValueError as error:
        raise SettingsError(f"{where}: {error}", "Correct the value, or remove the key.") from error

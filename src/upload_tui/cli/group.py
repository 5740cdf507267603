"""The command group. A command's module is imported when it is run or when its own help is asked for, not before."""

import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from upload_tui.cli.support.error_reporting import run_reported
from upload_tui.errors import (
    EXIT_AUTH,
    EXIT_FAILED_UPLOAD,
    EXIT_INTERNAL_ERROR,
    EXIT_INTERRUPTED,
    EXIT_NOT_FOUND,
    EXIT_OK,
    EXIT_TIMED_OUT,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
)

if TYPE_CHECKING:
    from upload_tui.cli.support.debug_log import DebugLog

__all__ = ["run", "upload_tui"]

_COMMANDS = {
    "watch": "Watch the uploads of projects in the dashboard.",
    "demo": "Watch the dashboard over an embedded service: no port, no account.",
    "serve": "Serve the embedded service over HTTP.",
    "list": "List uploads, a line each.",
    "show": "Show uploads: timeline, durations, chunks, hashes, anomalies.",
    "tail": "Print each change of a stage until interrupted.",
    "wait": "Wait until uploads are verified or in error.",
    "projects": "List the projects that the account can see.",
    "report": "Print a project's figures: stages, latencies, stuck and failed uploads.",
    "doctor": "Check settings, credentials, reachability, clocks and the terminal.",
    "record": "Keep every change seen in a file.",
    "replay": "Replay a recorded file in the dashboard.",
    "config": "Tell where the settings are, show or begin them.",
    "completions": "Print a shell's completion script.",
}
_NAME = "upload-tui"
_COMPLETION_VARIABLE = "_UPLOAD_TUI_COMPLETE"
_EXIT_CODES = {
    EXIT_OK: "done; for `wait`: all verified",
    EXIT_FAILED_UPLOAD: "at least one upload in error (`wait`; `list` and `report` with `--fail-on-error`)",
    EXIT_USAGE: "wrong use or settings",
    EXIT_UNREACHABLE: "the service cannot be reached, or does not answer as such a service does",
    EXIT_AUTH: "not authenticated or not allowed",
    EXIT_NOT_FOUND: "no such project or upload",
    EXIT_INTERNAL_ERROR: "a fault of upload-tui's own; `--debug` shows more",
    EXIT_TIMED_OUT: "timed out while pending (`--timeout-exit-code` changes it)",
    EXIT_INTERRUPTED: "interrupted",
}
_CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _LazyGroup(click.Group):
    """Knows its commands by name and a line of help, so that `--help` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"upload_tui.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Options before a command belong to it, and without a command to the dashboard: `upload-tui --profile work list`."""
        own = next((place for place, word in enumerate(args) if word != "--debug"), len(args))
        if args[own:] and args[own].startswith("-") and args[own] not in {"--version", *ctx.help_option_names}:
            args = [*args[:own], *self._move_command_first(ctx, args[own:])]
        return super().parse_args(ctx, args)

    def _move_command_first(self, ctx: click.Context, args: list[str]) -> list[str]:
        watch = self.get_command(ctx, "watch")
        options = [param for param in watch.params if isinstance(param, click.Option)] if watch else []
        with_value = {name for option in options if not option.is_flag for name in option.opts}
        place = 0
        while place < len(args) and args[place].startswith("-"):
            place += 2 if args[place] in with_value else 1
        if place < len(args) and args[place] in _COMMANDS:
            return [args[place], *args[:place], *args[place + 1 :]]
        return ["watch", *args]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in _EXIT_CODES.items()])


def _print_version(context: click.Context, _: click.Parameter, is_requested: bool) -> None:
    if is_requested and not context.resilient_parsing:
        from upload_tui import __version__

        click.echo(f"upload-tui {__version__}")
        context.exit()


@click.group(cls=_LazyGroup, invoke_without_command=True, context_settings=_CONTEXT_SETTINGS)
@click.option(
    "--debug", is_flag=True, expose_value=False, help="Keep a log; show the traceback of an error and where the log is."
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
@click.pass_context
def upload_tui(context: click.Context) -> None:
    """Watch chunked uploads until they are verified.

    Without a command: the dashboard on the service that the settings name. Try `upload-tui demo` first.
    """
    if context.invoked_subcommand is None:
        context.invoke(_command(context, "watch"))


def _command(context: click.Context, name: str) -> click.Command:
    group = context.command
    assert isinstance(group, click.Group)  # noqa: S101  # it is the group above
    command = group.get_command(context, name)
    assert command is not None  # noqa: S101  # it is one of its own
    return command


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a sign that the terminal's encoding lacks is no reason to end
    sys.exit(run_reported(lambda: _invoke(arguments), _open_debug_log() if "--debug" in arguments else None))


def _open_debug_log() -> "DebugLog":
    from upload_tui.cli.support.debug_log import DebugLog

    return DebugLog()


def _invoke(arguments: list[str]) -> Any:
    """What click's own `main` does, but for its views on interrupts and broken pipes: those are the mouth's."""
    if _COMPLETION_VARIABLE in os.environ:  # a shell asks what could come next
        return upload_tui.main(arguments, prog_name=_NAME, complete_var=_COMPLETION_VARIABLE)
    with upload_tui.make_context(_NAME, list(arguments)) as context:
        return upload_tui.invoke(context)

"""The command group, and the command `completions`, which covers all commands.

The module of any other command is imported when the command runs or prints its help.
"""

import os
import sys
from importlib import import_module
from typing import Any

import click

from upload_tui.cli.support.error_reporting import DebugLog, run_reported
from upload_tui.cli.support.signals import TerminationSignals, termination_signals
from upload_tui.cli.support.streams import guarded_streams
from upload_tui.errors import EXIT_CODES, EXIT_INTERRUPTED

__all__ = ["run", "upload_tui"]

_COMMANDS = {
    "watch": "Watch the uploads of projects in the dashboard.",
    "demo": "Show the dashboard over an embedded service: no port, no account.",
    "serve": "Serve the embedded service over HTTP.",
    "list": "List uploads, one per line.",
    "show": "Show uploads: timeline, durations, chunks, hashes, anomalies.",
    "tail": "Print each stage change until interrupted.",
    "wait": "Wait until uploads are verified or in error.",
    "projects": "List the projects that the account can see.",
    "report": "Print statistics: stages, latencies, uploads in trouble, failures by cause.",
    "metrics": "Serve metrics of the uploads to Prometheus.",
    "doctor": "Check settings, credentials, connection, clock and terminal.",
    "record": "Record every change in a file.",
    "replay": "Play a recording in the dashboard.",
    "source": "Describe or check sources: commands that print uploads.",
    "config": "Show, locate or create the settings.",
    "completions": "Print the completion script of a shell.",
}
_NAME = "upload-tui"
_COMPLETION_VARIABLE = "_UPLOAD_TUI_COMPLETE"
_CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _LazyGroup(click.Group):
    """A group with the names and short helps of its commands, so that `--help` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.commands or cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = import_module(f"upload_tui.cli.commands.{cmd_name}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move options that precede the command behind it, as in `upload-tui --profile work list`.

        Without a command they are options of `watch`.
        """
        start = next((index for index, word in enumerate(args) if word != "--debug"), len(args))
        if args[start:] and args[start].startswith("-") and args[start] not in {"--version", *ctx.help_option_names}:
            args = [*args[:start], *self._move_command_first(ctx, args[start:])]
        return super().parse_args(ctx, args)

    def _move_command_first(self, ctx: click.Context, args: list[str]) -> list[str]:
        watch = self.get_command(ctx, "watch")
        options = [param for param in watch.params if isinstance(param, click.Option)] if watch else []
        with_value = {name for option in options if not option.is_flag for name in option.opts}
        index = 0
        while index < len(args) and args[index].startswith("-"):
            index += 2 if args[index] in with_value else 1
        if index < len(args) and args[index] in _COMMANDS:
            return [args[index], *args[:index], *args[index + 1 :]]
        if ctx.resilient_parsing and index == len(args):  # a shell asks for what follows the options: a command
            return []
        return ["watch", *args]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])


def _print_version(context: click.Context, _: click.Parameter, is_requested: bool) -> None:
    if is_requested and not context.resilient_parsing:
        from upload_tui import __version__

        click.echo(f"upload-tui {__version__}")
        context.exit()


@click.group(cls=_LazyGroup, invoke_without_command=True, context_settings=_CONTEXT_SETTINGS)
@click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    help="Write a log; print the traceback of an error and the path of the log.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
@click.pass_context
def upload_tui(context: click.Context) -> None:
    """Watch chunked uploads until they are verified.

    Without a command, show the dashboard of the configured service. Try `upload-tui demo` first.
    """
    if context.invoked_subcommand is None:
        context.invoke(_command(context, "watch"))


@upload_tui.command(help="Print the completion script of a shell; the README says where to put it.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completions(context: click.Context, shell: str) -> None:
    """Print the script without running the shell, which click would do to check its version."""
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    assert completion is not None  # noqa: S101  # click knows these three
    source = completion(context.find_root().command, {}, _NAME, _COMPLETION_VARIABLE)
    click.echo(source.source_template % source.source_vars())


def _command(context: click.Context, name: str) -> click.Command:
    group = context.command
    assert isinstance(group, click.Group)  # noqa: S101  # it is `upload_tui`
    command = group.get_command(context, name)
    assert command is not None  # noqa: S101  # the caller names an existing one
    return command


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    signals = TerminationSignals()
    try:
        with guarded_streams(lambda: signals.received is not None), termination_signals(signals):
            code = run_reported(lambda: _invoke(arguments), DebugLog() if "--debug" in arguments else None)
    except KeyboardInterrupt:  # a signal before the command has begun, or after it has ended
        code = EXIT_INTERRUPTED
    sys.exit(signals.exit_code(code))


def _invoke(arguments: list[str]) -> Any:
    """Do what click's own `main` does, but leave interrupts and broken pipes to `run_reported`."""
    if instruction := os.environ.get(_COMPLETION_VARIABLE):  # a shell asks for completions
        from upload_tui.cli.support.options import complete

        return complete(upload_tui, _NAME, _COMPLETION_VARIABLE, instruction)
    with upload_tui.make_context(_NAME, list(arguments)) as context:
        return upload_tui.invoke(context)

"""`upload-tui completions`: a shell's completion script."""

import click
from click.shell_completion import get_completion_class

__all__ = ["command"]


@click.command(help="Print the completion script of a shell; see the README for where it goes.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print it. The shell's own version is not asked for: the script is printed wherever we are."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  # click knows these three
    source = kind(context.find_root().command, {}, "upload-tui", "_UPLOAD_TUI_COMPLETE")
    click.echo(source.source_template % source.source_vars())

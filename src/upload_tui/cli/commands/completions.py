"""`upload-tui completions`: the completion script of a shell."""

import click
from click.shell_completion import get_completion_class

__all__ = ["command"]


@click.command(help="Print the completion script of a shell; the README says where to put it.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script without running the shell, which click would do to check its version."""
    completion = get_completion_class(shell)
    assert completion is not None  # noqa: S101  # click knows these three
    source = completion(context.find_root().command, {}, "upload-tui", "_UPLOAD_TUI_COMPLETE")
    click.echo(source.source_template % source.source_vars())

"""The command line: parses arguments, reads settings and runs commands; the only place that prints errors and exits.

It composes the other packages: it hands the dashboard a ready session, and no other package sees both settings and services.
Nothing imports it but the entry point. `group` has the group with `completions`, the command about all others; `commands` has a
module for each other command, imported when the command runs; `access` opens the service or the source that they read; `support` has
what else they share.
"""

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    try:
        from upload_tui.cli.group import run

        run()
    except KeyboardInterrupt:  # while modules were still being imported
        from upload_tui.errors import EXIT_INTERRUPTED

        raise SystemExit(EXIT_INTERRUPTED) from None

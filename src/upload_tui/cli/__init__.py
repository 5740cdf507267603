"""The commands: a module each, put together lazily; the only place that prints errors and exits."""

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    try:
        from upload_tui.cli.group import run

        run()
    except KeyboardInterrupt:  # while modules were still being imported
        from upload_tui.errors import EXIT_INTERRUPTED

        raise SystemExit(EXIT_INTERRUPTED) from None

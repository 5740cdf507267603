"""The commands: a module each, put together lazily; the only place that prints errors and exits."""

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    from upload_tui.cli.commands import run

    run()

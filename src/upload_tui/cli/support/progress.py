"""The progress bar of a command that waits."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from upload_tui.cli.support.output import terminal_columns

__all__ = ["ProgressBar", "progress_bar"]


_BAR_CELLS = 30


class ProgressBar:
    """A progress bar on standard error; draws nothing if that is no terminal that can redraw a line."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._is_shown = (
            total > 0 and sys.stderr.isatty() and os.environ.get("TERM") not in {None, "", "dumb", "unknown"}
        )

    def advance(self, count: int) -> None:
        """Count uploads that are done, and draw."""
        self._done += count
        self.draw()

    def draw(self) -> None:
        """Draw the bar on the current line."""
        if self._is_shown:
            count = f"{self._done} of {self._total}"
            # The last column stays empty: some terminals wrap there, and a wrapped line cannot be redrawn.
            width = min(_BAR_CELLS, terminal_columns(sys.stderr.fileno()) - len(count) - len("[] ") - 1)
            filled = width * self._done // self._total
            bar = f"[{'#' * filled}{'.' * (width - filled)}] " if width > 0 else ""
            click.echo(f"\r{bar}{count}", nl=False, err=True)

    def clear(self) -> None:
        """Clear the current line."""
        if self._is_shown:
            click.echo("\r\033[K", nl=False, err=True)


@contextmanager
def progress_bar(total: int) -> Iterator[ProgressBar]:
    """Draw a bar for `total` uploads while the block runs, and erase it at the end."""
    bar = ProgressBar(total)
    bar.draw()
    try:
        yield bar
    finally:
        bar.clear()

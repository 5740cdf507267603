"""The dialog of latencies between stages, as histograms. Each bucket ends at twice the time of the one above it."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from upload_tui.monitor import LatencyHistogram, Session
from upload_tui.text import duration_text, plural
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.keys.bindings import HELP_KEY
from upload_tui.tui.keys.labels import key_of
from upload_tui.tui.screens.live_dialog import LiveDialog

__all__ = ["LatencyScreen", "histogram_lines"]

_LABEL_CELLS = 11
_COUNT_CELLS = 8


class LatencyScreen(LiveDialog[None]):
    """The latencies of a session's uploads.

    Args:
        session: the session.
        display_options: the characters to use.
        project_ids: only uploads of these projects; empty for all.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,l", "dismiss", "Close", id="latencies.close", tooltip="Close this dialog"),
        HELP_KEY,
    ]

    def __init__(
        self, session: Session, display_options: DisplayOptions, project_ids: frozenset[str] = frozenset()
    ) -> None:
        super().__init__()
        self._session = session
        self._project_ids = project_ids
        self._display_options = display_options

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        with VerticalScroll(id="latencies") as box:
            box.border_title = "Latency"
            box.border_subtitle = f"{key_of(self, 'latencies.close')} close"
            yield Static()

    def on_mount(self) -> None:
        """Paint the histograms now and every second."""
        self.query_one("#latencies").focus()

    def refresh_picture(self) -> None:
        """Show the picture as it is now."""
        width = self.query_one("#latencies").content_size.width
        lines = histogram_lines(self._session.latencies(self._project_ids), self._display_options, width)
        self.query_one(Static).update(Content("\n").join(lines))


def histogram_lines(
    latencies: Sequence[LatencyHistogram], display_options: DisplayOptions, width: int
) -> Iterator[Content]:
    """Yield the lines for each pair of stages: the quantiles, then a bar for each bucket, on one scale within the pair."""
    known = [latency for latency in latencies if latency.buckets]
    if not known:
        yield Content.styled("No upload has reached its next stage yet.", "$quiet")
    for number, latency in enumerate(known):
        if number:
            yield Content("")
        yield Content.assemble(
            (f"{display_options.glyphs.stages[latency.after]} {latency.after}", f"$stage-{latency.after} bold"),
            (" to ", "$quiet"),
            (f"{display_options.glyphs.stages[latency.before]} {latency.before}", f"$stage-{latency.before} bold"),
            (f"  {plural(latency.count, 'upload')}", "$quiet"),
        )
        yield Content.styled(_quantiles(latency, display_options), "$quiet")
        yield from _bars(latency, display_options, width)


def _quantiles(latency: LatencyHistogram, display_options: DisplayOptions) -> str:
    known = (
        ("p50", latency.p50_seconds),
        ("p95", latency.p95_seconds),
        ("p99", latency.p99_seconds),
    )
    separator = f" {display_options.glyphs.dot} "
    return separator.join(f"{name} {duration_text(seconds)}" for name, seconds in known if seconds is not None)


def _bars(latency: LatencyHistogram, display_options: DisplayOptions, width: int) -> Iterator[Content]:
    most = max(bucket.count for bucket in latency.buckets)
    max_cells = max(4, width - _LABEL_CELLS - _COUNT_CELLS - 4)
    for bucket in latency.buckets:
        cells = -(-bucket.count * max_cells // most)  # rounded up: a bucket that is not empty has a bar
        yield Content.assemble(
            (f"{display_options.glyphs.at_most:>2} {duration_text(bucket.to_seconds):>{_LABEL_CELLS - 4}} ", "$quiet"),
            (display_options.glyphs.bar_full * cells, f"$stage-{latency.before}"),
            (f" {bucket.count:,}" if bucket.count else "", ""),
        )

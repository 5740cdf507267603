"""How long uploads take between stages, as histograms: each bar is twice as long a time as the one above it."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from upload_tui.monitor import LatencyHistogram, Session
from upload_tui.text import duration_text, plural
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.keys.bindings import HELP_KEY
from upload_tui.tui.keys.labels import key_of

__all__ = ["LatencyScreen", "histogram_lines"]

_LABEL_CELLS = 13
_COUNT_CELLS = 8


class LatencyScreen(ModalScreen[None]):
    """The latencies of a session's uploads; painted anew every second."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,l", "dismiss", "Close", id="latencies.close", tooltip="Close the latencies"),
        HELP_KEY,
    ]

    def __init__(self, session: Session, display_options: DisplayOptions) -> None:
        super().__init__()
        self._session = session
        self._display_options = display_options

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="latencies") as box:
            box.border_title = "How long it takes"
            box.border_subtitle = f"{key_of(self, 'latencies.close')} closes"
            yield Static()

    def on_mount(self) -> None:
        self.query_one("#latencies").focus()
        self.set_interval(1.0, self._paint)
        self.call_after_refresh(self._paint)

    def _paint(self) -> None:
        width = self.query_one("#latencies").content_size.width
        lines = histogram_lines(self._session.latencies(), self._display_options, width)
        self.query_one(Static).update(Content("\n").join(lines))


def histogram_lines(
    latencies: Sequence[LatencyHistogram], display_options: DisplayOptions, width: int
) -> Iterator[Content]:
    """Each pair of stages: the quantiles, and a bar for each bucket, all to one scale within the pair."""
    seen = [latency for latency in latencies if latency.buckets]
    if not seen:
        yield Content.styled("No upload has got from one stage to the next yet.", "$quiet")
    for number, latency in enumerate(seen):
        if number:
            yield Content("")
        yield Content.assemble(
            (f"{display_options.glyphs.stages[latency.after]} {latency.after}", f"$stage-{latency.after} bold"),
            (" to ", "$quiet"),
            (f"{display_options.glyphs.stages[latency.before]} {latency.before}", f"$stage-{latency.before} bold"),
            (f"  {plural(latency.count, 'upload')}", "$quiet"),
        )
        yield Content.styled(_quantiles(latency), "$quiet")
        yield from _bars(latency, display_options, width)


def _quantiles(latency: LatencyHistogram) -> str:
    known = (
        ("half", latency.p50_seconds),
        ("95 %", latency.p95_seconds),
        ("99 %", latency.p99_seconds),
    )
    return ", ".join(f"{share} within {duration_text(seconds)}" for share, seconds in known if seconds is not None)


def _bars(latency: LatencyHistogram, display_options: DisplayOptions, width: int) -> Iterator[Content]:
    most = max(bucket.count for bucket in latency.buckets)
    room = max(4, width - _LABEL_CELLS - _COUNT_CELLS - 4)
    for bucket in latency.buckets:
        cells = -(-bucket.count * room // most)  # whatever is there shows
        yield Content.assemble(
            (f"up to {duration_text(bucket.to_seconds):>{_LABEL_CELLS - 6}} ", "$quiet"),
            (display_options.glyphs.bar_full * cells, f"$stage-{latency.before}"),
            (f" {bucket.count:,}" if bucket.count else "", ""),
        )

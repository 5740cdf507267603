"""The dialogs of statistics: failures by cause, storage provider and uploader, and latencies between stages."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from upload_tui.monitor import CauseGroup, Connection, LatencyHistogram, Session, Trouble
from upload_tui.text import cause_with_short, duration_text, plural, sanitize
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.bindings import HELP_KEY, key_of
from upload_tui.tui.fitting import HangingLines
from upload_tui.tui.screens.dialog import DialogList, LiveDialog, OptionScreen, is_current
from upload_tui.tui.screens.menu import Result
from upload_tui.tui.screens.session_screen import has_data

__all__ = ["FailureScreen", "LatencyScreen", "histogram_lines"]


_NO_DATA = "No data yet."


class _StatisticsScreen(LiveDialog[Result]):
    """A dialog with numbers of a session's uploads.

    Args:
        session: the session.
        display_options: the signs, and how to show times.
        project_ids: only uploads of these projects; empty for all.
    """

    def __init__(
        self, session: Session, display_options: DisplayOptions, project_ids: frozenset[str] = frozenset()
    ) -> None:
        super().__init__()
        self._session = session
        self._display_options = display_options
        self._project_ids = project_ids

    @property
    def _connection(self) -> Connection:
        return self._session.connection(self._project_ids)

    def _title(self, text: str) -> Content:
        """A title that ends with the projects, unless these are all."""
        names = {one.id: one.name for one in self._session.projects}
        chosen = ", ".join(names.get(one) or one for one in sorted(self._project_ids))
        where = f" {self._display_options.glyphs.dot} in {sanitize(chosen)}" if chosen else ""
        return Content(text + where)


class FailureScreen(_StatisticsScreen[CauseGroup | None], OptionScreen[CauseGroup | None]):
    """A dialog with the failures by cause that returns the chosen group; None if it was closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,F", "dismiss(None)", "Close", id="failures.close", tooltip="Close this dialog"),
        HELP_KEY,
        Binding("j", "cursor(1)", "Down", show=False, id="failures.down", tooltip="Next cause"),
        Binding("k", "cursor(-1)", "Up", show=False, id="failures.up", tooltip="Previous cause"),
    ]

    _groups: Sequence[CauseGroup] = ()

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        menu = DialogList(id="failures")
        menu.border_subtitle = f"Enter show, {key_of(self, 'failures.close')} close"
        yield menu

    def on_mount(self) -> None:
        """Show what is known."""
        self.refresh_picture()  # the first frame shows what is known

    def refresh_picture(self) -> None:
        """Show the picture as it is now."""
        self._groups = self._session.picture.causes(self._project_ids)
        menu = self.query_one(OptionList)
        total, funnel = sum(group.count for group in self._groups), self._session.picture.funnel(self._project_ids)
        in_trouble, is_known = funnel.troubles.get(Trouble.FAILED, 0), has_data(self._connection, funnel)
        others = "" if in_trouble == total else f" ({in_trouble:,} in trouble)"  # older and acknowledged ones are not
        count = f" {total:,}{others}" if is_known else ""
        menu.border_title = self._title(f"Failures{count} by cause")
        self.replace_options([(_key(group), self._text(group)) for group in self._groups])
        if not self._groups and not menu.option_count:
            menu.add_option(Option("No upload has failed." if is_known else _NO_DATA, disabled=True))

    def _text(self, group: CauseGroup) -> HangingLines:
        now, options = self._session.picture.clock.now(), self._display_options
        where = f" {options.glyphs.dot} ".join(part for part in (group.storage_provider, group.uploader) if part)
        when = f"first {options.ago_text(group.first_on, now)}, last {options.ago_text(group.last_on, now)}"
        return HangingLines(
            (
                Content.styled(f"{group.count:>7,}  ", "$stage-error bold"),
                Content(sanitize(cause_with_short(group.cause))),
            ),
            (Content(" " * 9), Content.styled(f"{sanitize(where)}, {when}" if where else when, "$quiet")),
        )

    @on(OptionList.OptionSelected)
    def choose_group(self, event: OptionList.OptionSelected) -> None:
        """Close the screen with the chosen group."""
        if is_current(event):
            self.dismiss(self._groups[event.option_index])


def _key(group: CauseGroup) -> tuple[str, str, str]:
    return group.cause, group.storage_provider, group.uploader


_LABEL_CELLS = 11
_COUNT_CELLS = 8


class LatencyScreen(_StatisticsScreen[None]):
    """The latencies of a session's uploads."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,l", "dismiss", "Close", id="latencies.close", tooltip="Close this dialog"),
        HELP_KEY,
    ]

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        with VerticalScroll(id="latencies") as box:
            box.border_subtitle = f"{key_of(self, 'latencies.close')} close"
            yield Static()

    def on_mount(self) -> None:
        """Paint the histograms now and every second."""
        self.query_one("#latencies").focus()
        self.refresh_picture()  # the first frame is as high as the histograms

    def refresh_picture(self) -> None:
        """Show the picture as it is now."""
        box, picture = self.query_one("#latencies"), self._session.picture
        box.border_title = self._title("Latency")
        if has_data(self._connection, picture.funnel(self._project_ids)):
            latencies = picture.latencies(self._project_ids)
            lines = histogram_lines(latencies, self._display_options, box.content_size.width)
            self.query_one(Static).update(Content("\n").join(lines))
        else:
            self.query_one(Static).update(Content.styled(_NO_DATA, "$quiet"))


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
            (
                f"{display_options.glyphs.stages[latency.from_stage]} {latency.from_stage}",
                f"$stage-{latency.from_stage} bold",
            ),
            (" to ", "$quiet"),
            (
                f"{display_options.glyphs.stages[latency.to_stage]} {latency.to_stage}",
                f"$stage-{latency.to_stage} bold",
            ),
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
    about = "" if latency.is_exact else display_options.glyphs.about
    return separator.join(f"{name} {about}{_latency_text(seconds)}" for name, seconds in known if seconds is not None)


def _latency_text(seconds: float) -> str:
    """A duration, in milliseconds below one second: `31ms`, `1.0s`. Each row of a histogram has a text of its own."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if 0 <= milliseconds < 1000 else duration_text(seconds)


def _bars(latency: LatencyHistogram, display_options: DisplayOptions, width: int) -> Iterator[Content]:
    most = max(bucket.count for bucket in latency.buckets)
    max_cells = max(4, width - _LABEL_CELLS - _COUNT_CELLS - 4)
    for bucket in latency.buckets:
        cells = -(-bucket.count * max_cells // most)  # rounded up: a bucket that is not empty has a bar
        yield Content.assemble(
            (f"{display_options.glyphs.at_most:>2} {_latency_text(bucket.to_seconds):>{_LABEL_CELLS - 4}} ", "$quiet"),
            (display_options.glyphs.bar_full * cells, f"$stage-{latency.to_stage}"),
            (f" {bucket.count:,}" if bucket.count else "", ""),
        )

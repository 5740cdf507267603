"""Each public widget in its states: `python -m upload_tui.testing.gallery`. Also an example of an app that uses the widgets."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Footer, Label, TabbedContent, TabPane

from upload_tui.errors import EXIT_USAGE
from upload_tui.testing.clock import NOW, FrozenClock, a_chunk, an_upload, sample_uploads
from upload_tui.tui import stylesheet_paths
from upload_tui.widgets import (
    THEMES,
    ChunkStrip,
    DisplayOptions,
    FunnelBar,
    InMemoryPicture,
    Query,
    Stage,
    TimelineView,
    UploadTable,
    widget_tokens,
)
from upload_tui.wire import CHUNK_HASH_DIFFERS, StatusShape

__all__ = ["GalleryApp", "LabelledWidgets"]

LabelledWidgets = Iterator[tuple[str, Widget]]
"""Descriptions of states, and the widgets in them."""

_ERROR_MESSAGE = f"{CHUNK_HASH_DIFFERS}: chunk 3: reported 900150983cd2…, stored 098f6bcd4621…"


class GalleryApp(App[None]):
    """A tab for each widget; `q` quits.

    Args:
        theme: the name of a theme of upload-tui or of Textual.
        initial_tab: `table`, `funnel`, `timeline` or `chunks`.
    """

    TITLE = "upload-tui gallery"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "tab('table')", "Table"),
        Binding("2", "tab('funnel')", "Funnel"),
        Binding("3", "tab('timeline')", "Timeline"),
        Binding("4", "tab('chunks')", "Chunks"),
        Binding("t", "change_theme", "Theme"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, theme: str = "upload-dark", initial_tab: str = "table") -> None:
        super().__init__(css_path=[*stylesheet_paths(("widgets.tcss", "gallery.tcss"))])
        for added in THEMES:
            self.register_theme(added)
        self.theme = theme
        self._initial_tab = initial_tab
        self._pictures: list[InMemoryPicture] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The colours of the stages, for themes that do not define them."""
        return widget_tokens(is_dark=self.current_theme.dark)

    def compose(self) -> ComposeResult:
        """Add the tabs."""
        with TabbedContent(initial=self._initial_tab):
            for title, examples in self._tabs().items():
                with TabPane(title, id=title.lower()), VerticalScroll():
                    for description, widget in examples:
                        yield Vertical(Label(description), widget, classes="state")
        yield Footer()

    def on_unmount(self) -> None:
        """Close the pictures."""
        for picture in self._pictures:
            picture.close()

    def action_tab(self, tab: str) -> None:
        """Show a tab."""
        self.query_one(TabbedContent).active = tab

    def _tabs(self) -> Mapping[str, LabelledWidgets]:
        return {
            "Table": self._tables(),
            "Funnel": self._funnels(),
            "Timeline": self._timelines(),
            "Chunks": self._chunk_strips(),
        }

    def _picture(self, *uploads: Mapping[str, Any]) -> InMemoryPicture:
        picture = InMemoryPicture(uploads, clock=FrozenClock())
        self._pictures.append(picture)
        return picture

    def _tables(self) -> LabelledWidgets:
        yield (
            "Sixteen uploads: each stage, one of them stuck.",
            UploadTable(self._sample_picture(), now=NOW, classes="-tall"),
        )
        marked = UploadTable(self._sample_picture(), now=NOW, several_projects=True)
        marked.marked = frozenset({self._sample_picture().window(Query(), 1, 1).rows[0].key})
        yield "Several projects, one upload marked.", marked
        empty = UploadTable(self._picture(), now=NOW)
        empty.empty_text = "No uploads yet."
        yield "No uploads, with a text for it.", empty

    def _sample_picture(self) -> InMemoryPicture:
        return self._picture(*sample_uploads(message=_ERROR_MESSAGE))

    def _funnels(self) -> LabelledWidgets:
        yield "Sixteen uploads.", FunnelBar(self._sample_picture().funnel(), NOW)
        yield "No uploads.", FunnelBar()
        waiting = [an_upload(f"{number}", initiated=900 + number, completed=600 + number) for number in range(14)]
        done = [an_upload(f"done {number}", initiated=2000, completed=1900, verified=1890) for number in range(10)]
        yield "The worker is stopped.", FunnelBar(self._picture(*done, *waiting).funnel(), NOW)
        filtered = FunnelBar(self._sample_picture().funnel(), NOW)
        self.call_after_refresh(lambda: self._filter(filtered))
        yield "Filtered by the stage error.", filtered

    def _filter(self, bar: FunnelBar) -> None:
        bar.show(self._sample_picture().funnel(), NOW, filtered=[Stage.ERROR])

    def _timelines(self) -> LabelledWidgets:
        for description, upload in (
            ("Initiated, receiving chunks.", an_upload("brain.nii.gz", chunks=(1, 2))),
            ("Completed, not verified yet.", an_upload("reads.bam", initiated=180, completed=8)),
            ("Completed and stuck.", an_upload("run.h5", initiated=4000, completed=3700)),
            ("Verified.", an_upload("scan.tiff", initiated=95, completed=21, verified=9)),
            (
                "Failed, with the service's error message.",
                an_upload("plate.czi", completed=60, error=9, message=_ERROR_MESSAGE),
            ),
            (
                "Reported as verified, but chunk 2 is missing.",
                an_upload("half.bin", completed=30, verified=20, chunks=(1, 3, 4), status_shape=StatusShape.DEPLOYED),
            ),
        ):
            yield (
                description,
                TimelineView(
                    self._picture(upload).detail(str(upload["id"])), NOW, display_options=DisplayOptions(zone=UTC)
                ),
            )
        yield "No upload.", TimelineView()

    def _chunk_strips(self) -> LabelledWidgets:
        sizes: Mapping[str, Sequence[tuple[int, int]]] = {
            "All chunks.": [(1, 1000), (2, 1000), (3, 1000), (4, 500)],
            "One chunk is missing.": [(1, 1000), (2, 1000), (4, 1000)],
            "One chunk is repeated, one has an unexpected size.": [
                (1, 1000),
                (2, 1000),
                (3, 1000),
                (3, 1000),
                (4, 7),
                (5, 1000),
            ],
            "2,000 chunks: each block stands for several.": [(number, 1000) for number in range(1, 2001)],
        }
        for description, listed in sizes.items():
            chunks = [a_chunk(number, size_bytes) for number, size_bytes in listed]
            declared = sum(dict(listed).values())
            yield description, self._strip(an_upload("a", completed=30, chunks=chunks, size_bytes=declared))
        yield "In progress.", self._strip(an_upload("a", chunks=(1, 2)))
        yield (
            "Reported as verified, one chunk missing.",
            self._strip(an_upload("a", completed=30, verified=20, chunks=(1, 3, 4))),
        )
        yield "No chunks yet.", self._strip(an_upload("a", chunks=()))
        yield "Not chunked.", self._strip(an_upload("a", chunks=None))
        purged = an_upload(
            "scan.tiff", completed=30, verified=20, purged=10, chunks=(), status_shape=StatusShape.DEPLOYED
        )
        yield "Purged.", self._strip(purged)

    def _strip(self, upload: Mapping[str, Any]) -> ChunkStrip:
        detail = self._picture(upload).detail(str(upload["id"]))
        return ChunkStrip(None if detail is None else detail.upload)


if __name__ == "__main__":
    if not sys.stdout.isatty():
        sys.stderr.write("The gallery needs a terminal. Run it in one, without a pipe.\n")
        sys.exit(EXIT_USAGE)
    GalleryApp().run()

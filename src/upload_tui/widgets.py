"""The dashboard's widgets for other Textual apps. They need nothing but data, and post a message when the user acts.

- `UploadTable`: any number of uploads, from a source of rows.
- `FunnelBar`: the four stages with their counts.
- `TimelineView`: the stages of one upload.
- `ChunkStrip`: the chunks of one upload.

The data come from an `InMemoryPicture`, built from the service's JSON in any of the three status shapes. An app uses the widgets'
stylesheet, and defines the colours that its theme lacks:

>>> from textual.app import App
>>> class Mine(App):
...     CSS_PATH = widget_stylesheets()
...
...     def __init__(self, answers):
...         super().__init__()
...         self.picture = InMemoryPicture(answers)
...
...     def get_theme_variable_defaults(self):
...         return widget_tokens(is_dark=self.current_theme.dark)
...
...     def compose(self):
...         yield FunnelBar(self.picture.funnel(), self.picture.clock.now())
...         yield UploadTable(self.picture, now=self.picture.clock.now())
...
...     def on_unmount(self):
...         self.picture.close()

>>> import asyncio
>>> from upload_tui.testing import sample_uploads
>>> async def rows():
...     async with Mine(sample_uploads()).run_test() as pilot:
...         return pilot.app.query_one(UploadTable).total
>>> asyncio.run(rows())
16

After `picture.update(answer)`, call `FunnelBar.show` and `UploadTable.reload`, and set `TimelineView.detail`.
`python -m upload_tui.testing.gallery` shows every widget in its states.
"""

from pathlib import PurePath

from upload_tui.monitor import Detail, Funnel, InMemoryPicture, Query, Row, SortKey, StageSummary, UploadKey
from upload_tui.status import Stage
from upload_tui.tui import ASCII, THEMES, UNICODE, DisplayOptions, Glyphs, stylesheet_paths
from upload_tui.tui.appearance.theme import widget_tokens
from upload_tui.tui.widgets.chunk_strip import ChunkStrip
from upload_tui.tui.widgets.funnel import FunnelBar, StageCell
from upload_tui.tui.widgets.table.row_window import RowSource
from upload_tui.tui.widgets.table.upload_table import UploadTable
from upload_tui.tui.widgets.timeline_view import TimelineView

__all__ = [
    "ASCII",
    "THEMES",
    "UNICODE",
    "ChunkStrip",
    "Detail",
    "DisplayOptions",
    "Funnel",
    "FunnelBar",
    "Glyphs",
    "InMemoryPicture",
    "Query",
    "Row",
    "RowSource",
    "SortKey",
    "Stage",
    "StageCell",
    "StageSummary",
    "TimelineView",
    "UploadKey",
    "UploadTable",
    "widget_stylesheets",
    "widget_tokens",
]


def widget_stylesheets() -> list[str | PurePath]:
    """The widgets' stylesheets, as absolute paths for an app's `CSS_PATH`.

    >>> [path.name for path in widget_stylesheets()]
    ['widgets.tcss']

    Raises:
        StyleError: the installation is incomplete.
    """
    return [*stylesheet_paths(("widgets.tcss",))]

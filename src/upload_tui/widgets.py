"""The dashboard's widgets for other Textual apps: each needs nothing but data, and tells what a person did by messages.

- `UploadTable`: any number of uploads, from a source of rows.
- `FunnelBar`: the four stages with their counts.
- `TimelineView`: what one upload has been through.
- `ChunkStrip`: the chunks of one upload.

The data come from a `InMemoryPicture`, which is handed the service's own JSON, in any of the three shapes of status. An app takes the
widgets' style sheet, and colours that its theme lacks:

>>> from textual.app import App
>>> class Mine(App):
...     CSS_PATH = widget_sheets()
...
...     def __init__(self, answers):
...         super().__init__()
...         self.picture = InMemoryPicture(answers)
...
...     def get_theme_variable_defaults(self):
...         return widget_tokens(is_dark=self.current_theme.dark)
...
...     def compose(self):
...         yield FunnelBar(self.picture.funnel(), self.picture.now())
...         yield UploadTable(self.picture, now=self.picture.now())
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

When more is known (`picture.update(answer)`), the app says so: `FunnelBar.show`, `UploadTable.reload`, `TimelineView.detail`.
`python -m upload_tui.testing.gallery` shows every widget in its states.
"""

from pathlib import PurePath

from upload_tui.monitor import Detail, Funnel, InMemoryPicture, Query, Row, SortKey, StageSummary
from upload_tui.status import Stage
from upload_tui.tui.appearance.display_options import DisplayOptions
from upload_tui.tui.appearance.glyphs import ASCII, UNICODE, Glyphs
from upload_tui.tui.appearance.theme import THEMES, widget_tokens
from upload_tui.tui.stylesheets import WIDGET_STYLESHEETS, stylesheet_paths
from upload_tui.tui.widgets.funnel import FunnelBar, StageCell
from upload_tui.tui.widgets.table.row_window import RowSource
from upload_tui.tui.widgets.table.upload_table import UploadTable
from upload_tui.tui.widgets.timeline.chunk_strip import ChunkStrip
from upload_tui.tui.widgets.timeline.timeline_view import TimelineView

__all__ = [
    "ASCII",
    "THEMES",
    "UNICODE",
    "ChunkStrip",
    "Detail",
    "Funnel",
    "FunnelBar",
    "InMemoryPicture",
    "Glyphs",
    "DisplayOptions",
    "Query",
    "Row",
    "RowSource",
    "SortKey",
    "Stage",
    "StageCell",
    "StageSummary",
    "TimelineView",
    "UploadTable",
    "widget_sheets",
    "widget_tokens",
]


def widget_sheets() -> list[str | PurePath]:
    """The widgets' style sheets, as absolute paths for an app's `CSS_PATH`.

    >>> [sheet.name for sheet in widget_sheets()]
    ['widgets.tcss']

    Raises:
        StyleError: the installation is incomplete.
    """
    return [*stylesheet_paths(WIDGET_STYLESHEETS)]

"""A Textual app with upload-tui's widgets."""

from textual import on
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.widgets import Header

from upload_tui.widgets import (
    ChunkStrip,
    DisplayOptions,
    FunnelBar,
    InMemoryPicture,
    TimelineView,
    UploadTable,
    widget_stylesheets,
    widget_tokens,
)


class SampleScreen(App[None]):
    """Uploads on the left, the timeline of the selected one on the right."""

    CSS_PATH = widget_stylesheets()
    TITLE = "Uploads of the lab"

    def __init__(self, picture: InMemoryPicture, display_options: DisplayOptions) -> None:
        super().__init__()
        self.theme = "textual-light"
        self.picture = picture
        self.display_options = display_options

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The colours of the stages."""
        return widget_tokens(is_dark=self.current_theme.dark)

    def compose(self) -> ComposeResult:
        """Add the header, the funnel, the table, the timeline and the chunk strip."""
        yield Header()
        yield FunnelBar(self.picture.funnel(), self.picture.clock.now(), display_options=self.display_options)
        with Horizontal():
            yield UploadTable(self.picture, now=self.picture.clock.now())
            yield TimelineView(display_options=self.display_options)
        yield ChunkStrip(display_options=self.display_options)

    @on(UploadTable.Selected)
    def show_upload(self, message: UploadTable.Selected) -> None:
        """Show the selected upload."""
        detail = self.picture.detail(message.upload_id or "")
        timeline = self.query_one(TimelineView)
        timeline.now, timeline.detail = self.picture.clock.now(), detail
        self.query_one(ChunkStrip).upload = None if detail is None else detail.upload

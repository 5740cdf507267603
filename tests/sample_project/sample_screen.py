"""A Textual app of one's own with upload-tui's widgets in it."""

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
    """Uploads on the left, the chosen one's timeline on the right."""

    CSS_PATH = widget_stylesheets()
    TITLE = "The lab's evening"

    def __init__(self, picture: InMemoryPicture, look: DisplayOptions) -> None:
        super().__init__()
        self.theme = "textual-light"
        self.picture = picture
        self.look = look

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The colours of the stages."""
        return widget_tokens(is_dark=self.current_theme.dark)

    def compose(self) -> ComposeResult:
        """Header, funnel, table and timeline, the chunks once more below."""
        yield Header()
        yield FunnelBar(self.picture.funnel(), self.picture.now(), display_options=self.look)
        with Horizontal():
            yield UploadTable(self.picture, now=self.picture.now())
            yield TimelineView(display_options=self.look)
        yield ChunkStrip(display_options=self.look)

    @on(UploadTable.Selected)
    def show_upload(self, message: UploadTable.Selected) -> None:
        """Another upload is under the cursor."""
        detail = self.picture.detail(message.upload_id or "")
        timeline = self.query_one(TimelineView)
        timeline.now, timeline.detail = self.picture.now(), detail
        self.query_one(ChunkStrip).upload = None if detail is None else detail.upload

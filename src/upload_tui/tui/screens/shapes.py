"""The dialog with one upload's status in the three status shapes."""

import json
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from upload_tui.text import sanitize
from upload_tui.tui.bindings import HELP_KEY, key_of
from upload_tui.tui.fitting import HangingLines, json_line
from upload_tui.tui.screens.dialog import UploadDialog
from upload_tui.wire import UNSUPPORTED_DETAILS, StatusShape, write_status

__all__ = ["ShapesScreen"]

_TITLES = {StatusShape.A: "Option A", StatusShape.B: "Option B", StatusShape.DEPLOYED: "Deployed"}


class ShapesScreen(UploadDialog):
    """The status of one upload in three formats, side by side."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,w", "dismiss", "Close", id="shapes.close", tooltip="Close this dialog"),
        HELP_KEY,
    ]

    def compose(self) -> ComposeResult:
        """Add the widgets."""
        with Horizontal(id="shapes") as box:
            box.border_title = "Status in three formats"
            box.border_subtitle = f"{key_of(self, 'shapes.close')} close"
            for shape, title in _TITLES.items():
                with VerticalScroll(classes="shape") as column:
                    column.border_title = title
                    yield Static(id=f"shape-{shape}")

    def on_mount(self) -> None:
        """Show what is known."""
        self.refresh_picture()  # the first frame shows what is known

    def refresh_picture(self) -> None:
        """Show the picture as it is now."""
        detail = self._session.picture.detail(*self._key)
        for shape in StatusShape:
            status = {} if detail is None else write_status(detail.upload.timeline, shape)
            is_received = detail is not None and detail.upload.status_shape is shape
            self.query_one(f"#shape-{shape}", Static).update(self._column(shape, status, is_received))

    def _column(self, shape: StatusShape, status: dict[str, object], is_received: bool) -> HangingLines:
        lines = [json_line(sanitize(line)) for line in json.dumps(status, indent=2, ensure_ascii=False).splitlines()]
        indents = [len(line.plain) - len(line.plain.lstrip()) for line in lines]
        body = [(line[:indent], line[indent:]) for line, indent in zip(lines, indents, strict=True)]
        origin = Content.styled("As received" if is_received else "As it would look", "$quiet")
        sign = Content.styled(f"{self._display_options.glyphs.warning} ", "$warning")
        missing = [
            (sign, Content.styled(f"cannot express: {detail}", "$warning"))
            for detail in sorted(UNSUPPORTED_DETAILS[shape])
        ]
        return HangingLines(*body, (Content(), Content()), (Content(), origin), *missing)

"""One upload's status in the three designs side by side, and what each of them cannot say."""

import json
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from upload_tui.monitor.session import Session
from upload_tui.tui.bindings import HELP_KEY
from upload_tui.tui.formatting import harmless
from upload_tui.tui.keys import key_of
from upload_tui.tui.look import Look
from upload_tui.wire.designs import CANNOT_SAY, Design
from upload_tui.wire.status_shapes import write_status

__all__ = ["ShapesScreen"]

_TITLES = {Design.A: "Option A", Design.B: "Option B", Design.DEPLOYED: "Deployed"}


class ShapesScreen(ModalScreen[None]):
    """The status of one upload, written three times."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,w", "dismiss", "Close", id="shapes.close", tooltip="Close the comparison"),
        HELP_KEY,
    ]

    def __init__(self, session: Session, upload_id: str, look: Look) -> None:
        super().__init__()
        self._session = session
        self._upload_id = upload_id
        self._look = look

    def compose(self) -> ComposeResult:
        with Horizontal(id="shapes") as box:
            box.border_title = "One status, three designs"
            box.border_subtitle = f"{key_of(self, 'shapes.close')} closes"
            for design, title in _TITLES.items():
                with VerticalScroll(classes="shape") as column:
                    column.border_title = title
                    yield Static(id=f"shape-{design}")

    def on_mount(self) -> None:
        self.set_interval(1.0, self._paint)
        self._paint()

    def _paint(self) -> None:
        detail = self._session.detail(self._upload_id)
        for design in Design:
            said = {} if detail is None else write_status(detail.upload.timeline, design)
            came = detail is not None and detail.upload.design is design
            self.query_one(f"#shape-{design}", Static).update(self._column(design, said, came))

    def _column(self, design: Design, status: dict[str, object], came: bool) -> Content:
        lines = json.dumps(status, indent=2, ensure_ascii=False).splitlines()
        body = Content("\n".join(harmless(line) for line in lines))
        origin = Content.styled("\n\nAs the service said it." if came else "\n\nAs it would be said.", "$quiet")
        silent = [
            Content.styled(f"\n{self._look.glyphs.warning} cannot say {fact}", "$warning")
            for fact in sorted(CANNOT_SAY[design])
        ]
        return Content("").join([body, origin, *silent])

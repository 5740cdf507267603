"""The widgets of `upload_tui.widgets` in another Textual app, with nothing but data, a stylesheet and colours."""

from typing import Any

import pytest
from textual import on
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from upload_tui.testing import FrozenClock, an_upload, sample_uploads
from upload_tui.widgets import (
    ChunkStrip,
    FunnelBar,
    InMemoryPicture,
    Query,
    StageCell,
    TimelineView,
    UploadTable,
    widget_stylesheets,
    widget_tokens,
)


class OtherApp(App[None]):
    """An app with all four widgets and without the dashboard."""

    CSS_PATH = widget_stylesheets()

    def __init__(self, theme: str = "nord") -> None:
        super().__init__()
        self.theme = theme
        self.picture = InMemoryPicture(sample_uploads(), clock=FrozenClock())
        self.opened: list[str] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return widget_tokens(is_dark=self.current_theme.dark)

    def compose(self) -> ComposeResult:
        yield FunnelBar(self.picture.funnel(), self.picture.clock.now())
        yield UploadTable(self.picture, now=self.picture.clock.now())
        yield TimelineView()
        yield ChunkStrip()

    @on(UploadTable.Selected)
    def show_upload(self, message: UploadTable.Selected) -> None:
        detail = self.picture.detail(message.upload_id or "")
        assert detail is not None
        timeline = self.query_one(TimelineView)
        timeline.now, timeline.detail = self.picture.clock.now(), detail
        self.query_one(ChunkStrip).upload = detail.upload

    @on(UploadTable.Opened)
    def open_upload(self, message: UploadTable.Opened) -> None:
        self.opened.append(message.upload_id)

    @on(StageCell.Picked)
    def filter_stage(self, message: StageCell.Picked) -> None:
        self.query_one(UploadTable).rows_query = Query(stages=frozenset({message.stage}))

    def on_unmount(self) -> None:
        self.picture.close()

    def shown(self, kind: type[TimelineView | ChunkStrip]) -> str:
        return self.query_one(kind).render().plain


async def test_the_upload_under_the_cursor_is_shown() -> None:
    app = OtherApp()
    async with app.run_test(size=(100, 60)) as pilot:
        app.query_one(UploadTable).focus()
        await pilot.pause()
        assert app.shown(TimelineView).startswith("aligned_S217.bam")
        await pilot.press("j")
        await pilot.pause()
        assert app.shown(TimelineView).startswith("brain_062_T1.nii.gz")
        assert app.shown(ChunkStrip) == "2 chunks, 350 MiB of 700 MiB, 50%\n1 ■■·· ~4\n2 x 175 MiB"
        await pilot.press("enter")
        await pilot.pause()
        assert len(app.opened) == 1


async def test_the_app_filters_when_a_stage_is_clicked() -> None:
    app = OtherApp()
    async with app.run_test(size=(100, 60)) as pilot:
        await pilot.click(list(app.query(StageCell))[3])
        await pilot.pause()
        assert app.query_one(UploadTable).total == 1


async def test_updates_of_the_picture_are_shown() -> None:
    app = OtherApp()
    async with app.run_test(size=(100, 60)) as pilot:
        changes = app.picture.update(an_upload("fresh.bin", initiated=1))
        app.query_one(UploadTable).reload()
        app.query_one(FunnelBar).show(app.picture.funnel(), app.picture.clock.now())
        await pilot.pause()
        assert app.query_one(UploadTable).total == 17
        assert [cell.summary.count for cell in app.query(StageCell) if cell.summary] == [2, 2, 12, 1]
        assert len(changes) == 2


@pytest.mark.parametrize("theme", ["textual-light", "textual-dark", "gruvbox", "solarized-light"])
async def test_the_widgets_have_colours_in_any_theme(theme: str) -> None:
    app = OtherApp(theme)
    async with app.run_test(size=(100, 60)) as pilot:
        await pilot.pause()
        assert has_colours(pilot)


def has_colours(pilot: Pilot[Any]) -> bool:
    """True if the text on the screen has more than four colours."""
    colours = {
        segment.style.color
        for strip in pilot.app.screen._compositor.render_strips()
        for segment in strip
        if segment.style and segment.text.strip()
    }
    return len(colours) > 4

"""With ASCII signs, every screen is ASCII at every size."""

import pytest
from textual.app import App

from tests.tui.dashboards import FakeControls, until
from upload_tui.testing import InMemorySession, dashboard, sample_uploads
from upload_tui.tui.bindings import COPY_KEYS

pytestmark = pytest.mark.slow

SIZES = [(120, 40), (80, 24)]


def text_of(app: App[int]) -> str:
    """The text of the whole screen as written to the terminal."""
    lines = app.screen._compositor.render_strips(app.size)
    return "\n".join(strip.text for strip in lines)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
async def test_every_screen_is_ascii(size: tuple[int, int]) -> None:
    session = InMemorySession(sample_uploads())
    session.publish(*sample_uploads())
    app = dashboard(session, ascii_only=True, controls=FakeControls())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        for keys in (
            [],
            ["F"],
            ["l"],
            ["w"],
            ["c"],
            ["e"],
            ["p"],
            ["x"],
            ["question_mark"],
            ["slash"],
            ["enter"],
            ["J"],
        ):
            await pilot.press(*keys)
            await pilot.pause()
            text = text_of(app)
            assert text.strip()
            assert [line for line in text.splitlines() if not line.isascii()] == [], keys
            await pilot.press(*(["escape"] if keys else []))
            await pilot.pause()
    session.close()


async def test_the_palette_and_notifications_are_ascii() -> None:
    app = dashboard(sample_uploads(), ascii_only=True)
    async with app.run_test(size=SIZES[0], notifications=True) as pilot:
        app.notify("A notification")
        await until(pilot, lambda: "A notification" in text_of(app))
        assert text_of(app).isascii()
        await pilot.press("ctrl+p")
        copy_help = next(key.tooltip for key in COPY_KEYS if key.id == "copy.id")
        await until(pilot, lambda: "Search for commands" in text_of(app) and copy_help in text_of(app))
        assert text_of(app).isascii()


async def test_a_name_keeps_its_letters() -> None:
    app = dashboard([{**sample_uploads()[0], "name": "größe.tiff"}], ascii_only=True)
    async with app.run_test(size=SIZES[0]) as pilot:
        await pilot.pause()
        assert "größe.tiff" in text_of(app)

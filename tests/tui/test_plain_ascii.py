"""With plain ASCII there is no other character on any screen, at any size."""

import pytest
from textual.app import App

from tests.tui.dashboards import FakeControls, until
from upload_tui.testing import InMemorySession, dashboard, sample_uploads

SIZES = [(120, 40), (80, 24)]


def text_of(app: App[int]) -> str:
    """What the terminal gets of the whole screen."""
    lines = app.screen._compositor.render_strips(app.size)
    return "\n".join(strip.text for strip in lines)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
async def test_every_screen_is_ascii_when_the_signs_are(size: tuple[int, int]) -> None:
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


async def test_the_palette_and_what_is_said_in_a_corner_are_ascii_when_the_signs_are() -> None:
    app = dashboard(sample_uploads(), ascii_only=True)
    async with app.run_test(size=SIZES[0], notifications=True) as pilot:
        app.notify("Said in a corner")
        await until(pilot, lambda: "Said in a corner" in text_of(app))
        assert text_of(app).isascii()
        await pilot.press("ctrl+p")
        await until(pilot, lambda: "Search for commands" in text_of(app) and "Copy the id" in text_of(app))
        assert text_of(app).isascii()


async def test_a_name_keeps_its_letters_when_the_signs_are_ascii() -> None:
    app = dashboard([{**sample_uploads()[0], "name": "größe.tiff"}], ascii_only=True)
    async with app.run_test(size=SIZES[0]) as pilot:
        await pilot.pause()
        assert "größe.tiff" in text_of(app)

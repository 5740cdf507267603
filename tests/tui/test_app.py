"""The app and the process that it runs in."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import suppress
from unittest import mock

import pytest
from textual.widgets import Input

from tests.tui.dashboards import mixed, opened, until
from upload_tui.testing import InMemorySession, an_upload, dashboard
from upload_tui.tui import UploadApp


@pytest.fixture
def _collecting() -> Iterator[None]:
    yield
    gc.enable()


@pytest.mark.usefixtures("_collecting")
@pytest.mark.parametrize("is_enabled", [True, False])
async def test_only_a_process_of_its_own_has_its_objects_frozen(*, is_enabled: bool) -> None:
    """In another's process, such as a test run, the garbage of earlier apps would be frozen with what stays."""
    (gc.enable if is_enabled else gc.disable)()
    # The count of frozen objects would also fall when objects of earlier tests are deleted.
    with mock.patch.object(gc, "freeze", wraps=gc.freeze) as freeze:
        async with opened(mixed()) as (pilot, session, _):
            assert isinstance(pilot.app, UploadApp)
            await until(pilot, lambda: session.connection().is_live and gc.isenabled())
    assert freeze.called is not is_enabled


@pytest.mark.parametrize("is_animated", [True, False])
@pytest.mark.parametrize("key", ["slash", "a", "ctrl+p"], ids=["search", "note", "palette"])
async def test_the_cursor_of_an_input_blinks_only_with_animations(key: str, is_animated: bool) -> None:
    """Also of one that is added later: a picture has the cursor or not, by the speed of the machine."""
    failed = an_upload("a", initiated=90, completed=80, error=70)
    app = dashboard([failed])
    app.animation_level = "full" if is_animated else "none"
    async with app.run_test() as pilot:
        await pilot.press("g", key)
        await pilot.pause()
        (field,) = app.screen.query(Input)
        assert field.has_focus
        assert field.cursor_blink is is_animated


async def test_the_program_ends_although_its_session_ignores_its_cancellation() -> None:
    is_over = asyncio.Event()

    async def run() -> None:
        while not is_over.is_set():
            with suppress(asyncio.CancelledError):
                await is_over.wait()

    session = InMemorySession(mixed())
    with mock.patch.object(session, "run", run):
        app = UploadApp(session)
        async with app.run_test() as pilot:
            await pilot.press("q")
        await app.wait_for_session()
    is_over.set()

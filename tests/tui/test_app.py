"""The app and the process that it runs in."""

import gc
from collections.abc import Iterator

import pytest

from tests.tui.dashboards import mixed, opened, until
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
    before = gc.get_freeze_count()
    async with opened(mixed()) as (pilot, session, _):
        assert isinstance(pilot.app, UploadApp)
        await until(pilot, lambda: session.connection().is_live and gc.isenabled())
        assert (gc.get_freeze_count() > before) is not is_enabled

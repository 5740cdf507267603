"""The fixtures of the pytest plugin."""

import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest

from upload_tui.monitor import ConnectionState
from upload_tui.testing import NOW, FrozenClock, UploadServer, UploadService, an_upload, settled
from upload_tui.tui import UploadApp


def test_the_clock_stands_still(upload_clock: FrozenClock) -> None:
    assert upload_clock.now() == NOW


async def test_the_service_uses_the_clock_fixture(upload_service: UploadService, upload_clock: FrozenClock) -> None:
    upload_clock.advance(7)
    upload_id = await upload_service.upload()
    assert (await upload_service.status(upload_id))["completed_on"] == "2026-03-14T09:27:00.000Z"


async def test_the_dashboard_shows_the_service_by_default(
    upload_service: UploadService, upload_clock: FrozenClock, upload_dashboard: Callable[..., UploadApp]
) -> None:
    app = upload_dashboard()
    async with app.run_test(size=(120, 40)) as pilot:
        await upload_service.upload("scan.tiff")
        upload_clock.advance(2)
        await upload_service.verify_next()
        await settled(pilot)
        assert [
            (summary.stage.value, summary.count) for summary in app.session.picture.funnel().stages if summary.count
        ] == [("verified", 1)]


async def test_a_refresh_key_polls_the_service(
    upload_service: UploadService, upload_dashboard: Callable[..., UploadApp]
) -> None:
    app = upload_dashboard()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        await upload_service.initiate("scan.tiff")
        assert app.session.picture.funnel().total == 0
        await pilot.press("r")
        await pilot.pause()
        assert app.session.picture.funnel().total == 1
        await pilot.press("space")
        assert app.session.connection().state is ConnectionState.PAUSED
        await pilot.press("space")
        await pilot.pause()
        assert app.session.connection().is_live


async def test_the_dashboard_shows_an_outage_of_the_service(
    upload_service: UploadService, upload_dashboard: Callable[..., UploadApp]
) -> None:
    app = upload_dashboard()
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        upload_service.start_fault("outage", 60)
        await settled(pilot)
        assert app.session.connection().state is ConnectionState.RETRYING
        assert "503" in app.session.connection().reason


def test_the_service_is_not_created_for_another_source(
    upload_dashboard: Callable[..., UploadApp], request: pytest.FixtureRequest
) -> None:
    app = upload_dashboard([an_upload()])
    assert app.session.picture.funnel().total == 1
    assert "upload_service" not in request.node.funcargs
    app.session.close()  # type: ignore[attr-defined]


def test_the_server_responds_at_its_url(upload_server_url: str, upload_server: UploadServer) -> None:
    assert httpx.get(f"{upload_server_url}/api/v1/projects").status_code == 401
    headers = upload_server.headers
    assert httpx.get(f"{upload_server_url}/api/v1/projects", headers=headers).status_code == 200


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    script = (
        "import sys, pytest; before = set(sys.modules); import upload_tui.testing.plugin; "
        "print(*sorted(name for name in set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) <= {"upload_tui", "upload_tui.lazy", "upload_tui.testing", "upload_tui.testing.plugin"}

"""How often `metrics` reads, in virtual time."""

from pathlib import Path

import pytest
from tests.unit.cli.virtual_program import Project, VirtualService, advance_virtually, run_virtually

from upload_tui.testing import an_upload

REFRESH_SECONDS = 4


def test_a_service_is_read_as_often_as_the_settings_say(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody watches `metrics`, but its figures may be no older than `refresh` for that."""
    monkeypatch.setenv("UPLOAD_TUI_REFRESH", str(REFRESH_SECONDS))
    service = VirtualService([Project("p1", "Alpha", [an_upload()])])
    result = run_virtually(capfd, tmp_path, service, "metrics", "--listen", ":0")
    assert result.out.startswith("http://127.0.0.1:")
    assert service.requests >= service.max_requests
    assert advance_virtually(0) < 1.1 * REFRESH_SECONDS * service.requests

"""The pytest plugin of `upload-tui[testing]`. Pytest finds it; its fixtures import nothing until they are used.

- `upload_clock`: a `FrozenClock`.
- `upload_service`: an `UploadService` on that clock; the test steps its worker.
- `upload_dashboard`: a function like `upload_tui.testing.dashboard`; its default source is `upload_service`.
- `upload_server`: an `UploadServer` on a real socket; `upload_server_url` is its URL.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from upload_tui.testing import FrozenClock, UploadServer, UploadService
    from upload_tui.tui import UploadApp


@pytest.fixture
def upload_clock() -> "FrozenClock":
    """A clock that stands still until the test advances it."""
    from upload_tui.testing import FrozenClock

    return FrozenClock()


@pytest.fixture
def upload_service(upload_clock: "FrozenClock") -> "Iterator[UploadService]":
    """A service in the test's own process, on `upload_clock`; it need not be entered with `async with`."""
    from upload_tui.testing import UploadService

    service = UploadService(clock=upload_clock)
    yield service
    service.embedded.database.close()


@pytest.fixture
def upload_dashboard(request: pytest.FixtureRequest) -> "Callable[..., UploadApp]":
    """A function that makes dashboards, like `upload_tui.testing.dashboard`; without a source, over `upload_service`."""

    def make(source: Any = None, **options: Any) -> "UploadApp":
        from upload_tui.testing import dashboard

        return dashboard(request.getfixturevalue("upload_service") if source is None else source, **options)

    return make


@pytest.fixture
def upload_server() -> "Iterator[UploadServer]":
    """A service on a real socket of this machine, in real time; stopped after the test."""
    from upload_tui.testing import UploadServer

    with UploadServer() as server:
        yield server


@pytest.fixture
def upload_server_url(upload_server: "UploadServer") -> str:
    """The URL of `upload_server`, without `/api/v1`; `upload_server` has the credentials."""
    return upload_server.url

"""The pytest plugin of `upload-tui[testing]`: fixtures that do nothing until a test asks for them, and import nothing before.

pytest finds it by itself where upload-tui is installed. The fixtures:

- `upload_clock`: a `FrozenClock`.
- `upload_service`: an `UploadService` on that clock, its worker stepped by hand.
- `upload_dashboard`: a function like `upload_tui.testing.dashboard`; without a source it watches `upload_service`.
- `upload_server`: an `UploadServer`, on a real socket; `upload_server_url` is its URL.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from upload_tui.testing import FrozenClock, UploadServer, UploadService
    from upload_tui.tui import UploadApp


@pytest.fixture
def upload_clock() -> "FrozenClock":
    """A clock that stands still until the test moves it."""
    from upload_tui.testing import FrozenClock

    return FrozenClock()


@pytest.fixture
def upload_service(upload_clock: "FrozenClock") -> "Iterator[UploadService]":
    """A service in the test's own process, on `upload_clock`; it need not be entered."""
    from upload_tui.testing import UploadService

    service = UploadService(clock=upload_clock)
    yield service
    service.close()


@pytest.fixture
def upload_dashboard(request: pytest.FixtureRequest) -> "Callable[..., UploadApp]":
    """Makes dashboards, over what `upload_tui.testing.dashboard` takes, or over `upload_service` if that is not said."""

    def make(source: Any = None, **options: Any) -> "UploadApp":
        from upload_tui.testing import dashboard

        return dashboard(request.getfixturevalue("upload_service") if source is None else source, **options)

    return make


@pytest.fixture
def upload_server() -> "Iterator[UploadServer]":
    """A service on a real socket of this machine, stopped after the test; in real time, its worker works by itself."""
    from upload_tui.testing import UploadServer

    with UploadServer() as server:
        yield server


@pytest.fixture
def upload_server_url(upload_server: "UploadServer") -> str:
    """Where that is, without `/api/v1`; `upload_server` knows how to be let in."""
    return upload_server.url

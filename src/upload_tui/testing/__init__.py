"""A kit for tests: uploads without waiting, the same at every run.

For whoever tests this dashboard with settings and themes of their own, a Textual screen with our widgets in it, or a client that
uploads. Nothing of the product imports it, and importing it imports nothing heavy: each name is fetched when it is asked for.

- Time: `FrozenClock`, which stands at `NOW` until a test moves it.
- What a service says: `an_upload`, `a_chunk`, `a_timeline`, `sample_uploads`.
- A service: `UploadService` in the test's own process, its worker stepped by hand; `UploadServer` on a real socket.
- A picture: `dashboard` gives the Textual app, ready for `run_test` and `snap_compare`, over uploads, a `InMemorySession`, a service
  or a `Scene`, which is a story told in virtual time; `settled` waits until all that is known is on the screen; `still` is for
  apps of one's own; `recorded` opens a journal of `upload-tui record`, so that a bug report becomes a picture.

The fixtures of `upload_tui.testing.plugin` (`pip install 'upload-tui[testing]'`) are made of these; widgets for other apps are in
`upload_tui.widgets`, and `python -m upload_tui.testing.gallery` shows them.

>>> from upload_tui.testing import NOW, FrozenClock
>>> FrozenClock().now() == NOW
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upload_tui.testing.builders import a_chunk, a_timeline, an_upload, sample_uploads
    from upload_tui.testing.clock import NOW, FrozenClock
    from upload_tui.testing.dashboards import dashboard, deterministic, settled
    from upload_tui.testing.recordings import replay_of
    from upload_tui.testing.scene import Scene
    from upload_tui.testing.server import UploadServer
    from upload_tui.testing.service import UploadService
    from upload_tui.testing.sessions import InMemorySession, ManualSession

__all__ = [
    "NOW",
    "FrozenClock",
    "Scene",
    "InMemorySession",
    "UploadServer",
    "UploadService",
    "ManualSession",
    "a_chunk",
    "sample_uploads",
    "a_timeline",
    "an_upload",
    "dashboard",
    "replay_of",
    "settled",
    "deterministic",
]

_MODULES = {
    "builders": ("a_chunk", "sample_uploads", "a_timeline", "an_upload"),
    "clock": ("NOW", "FrozenClock"),
    "dashboards": ("dashboard", "settled", "deterministic"),
    "recordings": ("replay_of",),
    "scene": ("Scene",),
    "server": ("UploadServer",),
    "service": ("UploadService",),
    "sessions": ("InMemorySession", "ManualSession"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

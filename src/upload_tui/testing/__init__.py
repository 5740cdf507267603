"""The public testing kit: sample uploads, a clock, a service and a dashboard that are the same at every run.

It is for tests of dashboards with their own settings and themes, of Textual apps that use `upload_tui.widgets`, and of clients that
upload. The product never imports it. Importing it is cheap: each name is imported when it is first used.

- Time: `FrozenClock`, which stands at `NOW` until a test advances it.
- JSON of the service: `an_upload`, `a_chunk`, `a_timeline`, `sample_uploads`.
- Services: `UploadService` in the test's own process, with a worker that the test steps; `UploadServer` on a real socket.
- Sessions: `InMemorySession` shows what the test gives it; `ManualSession` polls an `UploadService` when the test asks; `replay_of`
  opens a recording of `upload-tui record`; `Scene` plays a scenario in virtual time.
- Dashboards: `dashboard` makes the Textual app over any of these, for `run_test` and `snap_compare`; `settled` waits until the screen
  is current; `deterministic` makes another app the same at every run.

`upload_tui.testing.plugin` has pytest fixtures of these (`pip install 'upload-tui[testing]'`), and
`python -m upload_tui.testing.gallery` shows the widgets; `python -m upload_tui.testing.animation` makes an animated SVG of a
recording.

>>> from upload_tui.testing import NOW, FrozenClock
>>> FrozenClock().now() == NOW
True
"""

from typing import TYPE_CHECKING

from upload_tui.lazy import lazy_names

if TYPE_CHECKING:
    from upload_tui.testing.clock import NOW, FrozenClock, a_chunk, a_timeline, an_upload, sample_uploads
    from upload_tui.testing.dashboards import dashboard, deterministic, settled
    from upload_tui.testing.scene import Scene
    from upload_tui.testing.service import UploadServer, UploadService
    from upload_tui.testing.sessions import InMemorySession, ManualSession, replay_of

__all__ = [
    "NOW",
    "FrozenClock",
    "InMemorySession",
    "ManualSession",
    "Scene",
    "UploadServer",
    "UploadService",
    "a_chunk",
    "a_timeline",
    "an_upload",
    "dashboard",
    "deterministic",
    "replay_of",
    "sample_uploads",
    "settled",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "clock": "a_chunk a_timeline an_upload FrozenClock NOW sample_uploads",
        "dashboards": "dashboard deterministic settled",
        "scene": "Scene",
        "service": "UploadServer UploadService",
        "sessions": "InMemorySession ManualSession replay_of",
    },
)

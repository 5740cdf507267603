"""Public helpers for tests: a clock that is moved by hand, builders of uploads, a session made of scenes.

Nothing of the product imports this; other people's tests may.
"""

from upload_tui.testing.builders import NOW, an_upload
from upload_tui.testing.clock import FrozenClock
from upload_tui.testing.scene import SceneSession

__all__ = ["NOW", "FrozenClock", "SceneSession", "an_upload"]

"""Messages between the rooms of the dashboard: children tell, parents decide."""

from dataclasses import dataclass

from upload_tui.monitor.changes import Change

__all__ = ["PictureMoved"]


@dataclass(frozen=True, slots=True)
class PictureMoved:
    """The session's picture changed; `changes` are the changes of uploads since the last such word, oldest first."""

    changes: tuple[Change, ...]

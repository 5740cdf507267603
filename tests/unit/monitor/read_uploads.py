"""Pending uploads that were read at different times, and projects that cannot be read any more, for tests of ages."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta

from hypothesis import strategies as st
from msgspec import Struct

from upload_tui.monitor import InMemoryPicture
from upload_tui.testing import NOW, FrozenClock, an_upload

__all__ = ["FRESHNESS", "KNOWN", "PROJECTS", "Known", "ProjectFreshness", "picture_of"]

PROJECTS = ("p-1", "p-2", "p-3")
_LONGEST_SECONDS = 3600


class Known(Struct, frozen=True):
    """A pending upload: when it entered its stage and when it was read (seconds ago), and how."""

    began: int
    read: int
    project_id: str = "p-1"
    is_completed: bool = True
    is_stale: bool = False
    is_gone: bool = False


class ProjectFreshness(Struct, frozen=True):
    """Projects that were last current some seconds ago; all others are current."""

    lags: Mapping[str, int]
    read_since: datetime | None = None

    def as_of(self, project_id: str = "") -> datetime:
        return NOW - timedelta(seconds=self.lags.get(project_id, 0))


@contextmanager
def picture_of(known: Sequence[Known], freshness: ProjectFreshness) -> Iterator[InMemoryPicture]:
    """The picture at `NOW` after each upload was read at its time."""
    clock = FrozenClock(NOW - timedelta(seconds=_LONGEST_SECONDS))
    with closing(InMemoryPicture(clock=clock, freshness=freshness)) as picture:
        numbered = sorted(enumerate(known), key=lambda pair: -pair[1].read)
        for number, one in numbered:
            clock.advance((NOW - clock.now()).total_seconds() - one.read)
            initiated, completed = (one.began + 60, one.began) if one.is_completed else (one.began, None)
            place = (one.project_id, one.project_id)
            upload = an_upload(f"u-{number}", initiated=initiated, completed=completed, chunks=(), project=place)
            picture.update(upload)
            picture.mark(upload["id"], stale=one.is_stale, gone=one.is_gone)
        clock.advance((NOW - clock.now()).total_seconds())
        yield picture


KNOWN = st.tuples(
    st.integers(0, 2000),
    st.integers(0, 1500),
    st.sampled_from(PROJECTS),
    st.booleans(),
    st.booleans(),
    st.integers(0, 9).map(lambda number: number == 0),
).map(lambda values: Known(values[0] + values[1], *values[1:]))
FRESHNESS = st.builds(
    ProjectFreshness,
    st.dictionaries(st.sampled_from(PROJECTS), st.sampled_from([0, 4, 300, 1500])),
    st.sampled_from([None, NOW - timedelta(seconds=200)]),
)

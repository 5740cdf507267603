"""Every state and screen of the dashboard at every size. Each caption says what its pictures must show."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from pytest_textual_snapshot import SVGImageExtension  # type: ignore[import-untyped]
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from tests.snapshots.scenes import CHUNK_ERROR, MillionSession, dashboard, sample_uploads
from upload_tui import testing
from upload_tui.errors import Cause, StorageResetError
from upload_tui.monitor import (
    CombinedSession,
    Connection,
    ConnectionState,
    InMemoryPicture,
    ReplaySession,
    Store,
    read_recording,
)
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload, settled
from upload_tui.testing.animation import animate, take_frames
from upload_tui.tui import ASCII, THEMES, DisplayOptions, UploadApp
from upload_tui.wire import FILE_HASH_DIFFERS, SIZE_DIFFERS, StatusShape, format_time, parse_queue

Compare = Callable[..., bool]
SIZES = {"60x20": (60, 20), "80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}

RECORDING = Path(__file__).parent / "recordings" / "corrupt.jsonl"

REFUSED = Cause("Connection refused")

every_size = pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())


def live() -> InMemorySession:
    """The sample uploads over a live connection."""
    return InMemorySession(sample_uploads())


def publish_changes(session: InMemorySession) -> Callable[[Pilot[int]], object]:
    """Publish a few changes before the picture is taken."""

    async def run(pilot: Pilot[int]) -> None:
        await settled(pilot)
        session.publish(an_upload("reads_S7_R2.fastq.gz", initiated=14, chunks=(1,)))
        session.publish(an_upload("aligned_S217.bam", initiated=180, completed=8, verified=1, size_bytes=1_900_000_000))
        session.publish(an_upload("mask_03.nii", initiated=60, completed=30, error=3, message=CHUNK_ERROR))
        await settled(pilot)
        await pilot.press("g")

    return run


def connected(connection: Connection, session: InMemorySession | None = None) -> InMemorySession:
    """A session, by default of the sample uploads, with a connection."""
    session = session or live()
    session.set_connection(connection)
    return session


def first_run() -> InMemorySession:
    return connected(Connection(state=ConnectionState.CONNECTING, since=NOW), InMemorySession())


def first_run_offline() -> InMemorySession:
    offline = Connection(
        state=ConnectionState.OFFLINE, since=NOW, next_try_on=NOW + timedelta(seconds=30), cause=REFUSED
    )
    return connected(offline, InMemorySession())


def loading() -> InMemorySession:
    return connected(Connection(state=ConnectionState.CATCHING_UP, since=NOW, known=612, total=4000))


def lost(
    state: ConnectionState,
    read_seconds_ago: float,
    cause: Cause | None = None,
    *,
    session: InMemorySession | None = None,
    since_seconds_ago: float = 0,
    retry_in_seconds: float | None = None,
) -> InMemorySession:
    """A session, by default of the sample uploads, that was last current so long ago."""
    session = session or live()
    read_on = session.clock.now()
    session.clock.advance(read_seconds_ago)
    now = session.clock.now()
    retry_on = None if retry_in_seconds is None else now + timedelta(seconds=retry_in_seconds)
    since = now - timedelta(seconds=since_seconds_ago)
    return connected(Connection(state=state, since=since, read_on=read_on, next_try_on=retry_on, cause=cause), session)


def retrying() -> InMemorySession:
    return lost(ConnectionState.RETRYING, 9, Cause("No answer in time"), retry_in_seconds=8)


def offline() -> InMemorySession:
    return lost(ConnectionState.OFFLINE, 41 * 60, REFUSED, since_seconds_ago=41 * 60, retry_in_seconds=30)


def started_offline() -> InMemorySession:
    """The picture that yesterday's session left."""
    uploads = [
        an_upload("brain_062_T1.nii.gz", initiated=200, chunks=(1, 2)),
        an_upload("aligned_S217.bam", initiated=180, completed=8),
        an_upload("overdue_S218.bam", initiated=180, completed=40),
        an_upload("plate-12-well-3.czi", initiated=900, completed=840, error=800, message=CHUNK_ERROR),
        an_upload("simulation-00044.h5", initiated=9000, completed=3660),
        *(
            an_upload(f"scan-{n:02d}.tiff", initiated=600 * n, completed=600 * n - 30, verified=600 * n - 44)
            for n in range(1, 12)
        ),
    ]
    return lost(
        ConnectionState.OFFLINE,
        17 * 3600,
        REFUSED,
        session=InMemorySession(uploads),
        since_seconds_ago=20,
        retry_in_seconds=8,
    )


def frozen() -> InMemorySession:
    return lost(ConnectionState.RETRYING, 7, Cause("No answer in 5s"))


def not_allowed() -> InMemorySession:
    return lost(ConnectionState.NOT_ALLOWED, 5, Cause("Token rejected", 401, "expired api_token"))


def paused() -> InMemorySession:
    return lost(ConnectionState.PAUSED, 180)


def errors_only() -> InMemorySession:
    return InMemorySession(
        [
            an_upload(
                f"plate-{n:02d}.czi",
                initiated=900 + 60 * n,
                completed=840 + 60 * n,
                error=832 + 60 * n,
                message=message,
            )
            for n, message in enumerate([CHUNK_ERROR, "no room left on the device", CHUNK_ERROR])
        ]
    )


def worker_stopped() -> InMemorySession:
    done = [an_upload(f"done-{n}.bin", initiated=2000 + n, completed=1900, verified=1890 - 4 * n) for n in range(10)]
    waiting = [an_upload(f"waits-{n:02d}.bin", initiated=900 + n, completed=480 - 16 * n) for n in range(14)]
    session = InMemorySession([*done, *waiting])
    stats = {"depth": 14, "oldest": (NOW - timedelta(seconds=480)).isoformat(), "running": 0}
    for seconds in (2, 0):
        session.picture.queue.update(parse_queue(stats, read_on=NOW - timedelta(seconds=seconds)))
    return session


def not_whole() -> InMemorySession:
    upload = an_upload(
        "half.bin", initiated=60, completed=30, verified=20, chunks=(1, 3, 4), status_shape=StatusShape.DEPLOYED
    )
    return InMemorySession([upload])


def much_trouble() -> InMemorySession:
    causes = [CHUNK_ERROR, SIZE_DIFFERS, FILE_HASH_DIFFERS, SIZE_DIFFERS]
    failed = [
        an_upload(f"plate-{n:02d}.czi", initiated=9000, completed=700, error=90 + 60 * n, message=causes[n % 4])
        for n in range(30)
    ]
    half = an_upload("half.bin", initiated=900, completed=800, verified=700, chunks=(1, 3, 4))
    return InMemorySession(sample_uploads(half, *failed))


def many_projects() -> InMemorySession:
    projects = [(f"p-{n:02d}", f"Genome {n:02d}") for n in range(31)]
    uploads = [
        an_upload(
            f"scan-{n:02d}.tiff", initiated=60 * n + 90, completed=60 * n + 60, verified=60 * n + 30, project=project
        )
        for n, project in enumerate(projects)
    ]
    stuck = an_upload("simulation-00044.h5", initiated=9000, completed=8000, project=projects[7])
    causes = [CHUNK_ERROR, SIZE_DIFFERS, FILE_HASH_DIFFERS]
    failed = [
        an_upload(f"plate-{n:02d}.czi", initiated=900, completed=700, error=90 + 60 * n, message=cause, project=project)
        for n, (project, cause) in enumerate(zip(projects, causes, strict=False))
    ]
    return InMemorySession([stuck, *failed, *uploads], projects=projects)


def tried_again() -> InMemorySession:
    return InMemorySession(
        [an_upload("simulation-00044.h5", initiated=90_000, completed=1200, status_shape=StatusShape.DEPLOYED)]
    )


def own_states() -> InMemorySession:
    states = {"quarantined": 108_000, "archived": 600, "being replicated to tape": 90}
    own = [
        an_upload(f"held-{n}.h5", initiated=seconds + 60, status_shape=StatusShape.B)
        for n, seconds in enumerate(states.values())
    ]
    for upload, (name, seconds) in zip(own, states.items(), strict=True):
        state = {"state": name, "state_on": format_time(NOW - timedelta(seconds=seconds))}
        upload["status"] = {"current": state, "prior": [upload["status"]["current"]]}
    return InMemorySession(sample_uploads(*own))


def full_disk() -> InMemorySession:
    """The file of the store cannot grow any more: the session goes on with a copy in memory."""
    session = live()
    store = Store(Path(".cache/upload-tui/example.org.db"))
    session.picture.close()
    session.picture = InMemoryPicture(
        sample_uploads(), clock=session.clock, service="https://example.org", store=store, freshness=session._freshness
    )
    (pages,) = store.db.execute("PRAGMA page_count").fetchone()
    store.db.execute(f"PRAGMA max_page_count = {pages}")
    with suppress(StorageResetError):
        session.publish(*(an_upload(f"scan-{n:04d}.tiff", initiated=60 + n) for n in range(1000)))
    session.picture.update(*sample_uploads())
    return session


def hostile() -> InMemorySession:
    names = [
        "\x1b]0;owned\x07.txt",
        "[red]not red[/red].txt",
        "cod\u202etxt.exe",
        "日本語のとても長いファイル名です.tar.gz",
        "x" * 10_000 + ".gz",
        "a\nb\tc",
        "👩\u200d🔬.csv",
    ]
    return InMemorySession([an_upload(name, initiated=60 + index) for index, name in enumerate(names)])


@dataclass(frozen=True, slots=True)
class State:
    """A state of the dashboard: what is seen first in its pictures, and a session in this state."""

    caption: str
    session: Callable[[], InMemorySession]


STATES: Mapping[str, State] = {
    "first-run": State("Connecting: no counts and no rows yet, and no zeros.", first_run),
    "first-run-offline": State(
        "The red alarm line first: the service was never reached, and why. Counts are unknown, not 0.",
        first_run_offline,
    ),
    "loading": State(
        "What is stuck first, though the scan is running: the header says how many of how many uploads are known.",
        loading,
    ),
    "retrying": State("The stuck upload first; the alarm line begins with why the last request failed.", retrying),
    "offline": State(
        "Offline: the red alarm line says since when and why, and the stuck upload still stands out.", offline
    ),
    "started-offline": State(
        "Started offline: what was in trouble yesterday still stands out, with its least age (`>1h 01m`); the rest is faint.",
        started_offline,
    ),
    "frozen": State("The stuck upload first; the header is no longer live and says how old the data are.", frozen),
    "not-allowed": State("The red alarm line first: the service rejects the token.", not_allowed),
    "paused": State("The stuck upload first, as of three minutes ago; the header says paused.", paused),
    "empty": State("Nothing stands out: counts of 0, and a text in place of rows.", InMemorySession),
    "errors-only": State("Red causes first: every upload failed.", errors_only),
    "worker-stopped": State(
        "The badges first, and above them the alarm line: the worker appears down.",
        worker_stopped,
    ),
    "not-whole": State(
        "The red badge first: reported as verified, but chunk 2 was never listed, as the timeline shows.",
        not_whole,
    ),
    "tried-again": State(
        "The badge first; in the timeline, ticks show the estimated retries of the worker.", tried_again
    ),
    "much-trouble": State(
        "Trouble first: the upload that is not whole, then the stuck one, then failures; the rule counts the others.",
        much_trouble,
    ),
    "many-projects": State(
        "The only stuck upload of 31 projects first, then failures, each with its project and its reason.",
        many_projects,
    ),
    "own-states": State(
        "The stuck upload first; states of the service's own have their sign and name, no colour, and a number in the title.",
        own_states,
    ),
    "full-disk": State(
        "The stuck upload first; the alarm line ends with what is not cached, and why if there is room.",
        full_disk,
    ),
    "hostile": State(
        "Names with escapes, markup, overrides, wide characters and 10,000 characters: columns stay aligned.", hostile
    ),
    "one-million": State("Trouble first, as with few: a million uploads, counts with commas.", MillionSession),
}


@every_size
@pytest.mark.parametrize("state", STATES)
def test_states(
    snap_compare: Compare, state: str, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """See the captions in `STATES`."""
    monkeypatch.chdir(tmp_path)
    session = STATES[state].session()
    assert snap_compare(dashboard(session), terminal_size=size)
    session.close()


@every_size
def test_replay(snap_compare: Compare, size: tuple[int, int]) -> None:
    """A recording, paused at six seconds: the header shows the position and that it is paused."""
    header, lines = read_recording(RECORDING)
    session = ReplaySession(header, lines, base=FrozenClock())
    session.seek(header.began_on + timedelta(seconds=6))
    session.set_speed(0)
    app = testing.dashboard(session, controls=session)
    assert snap_compare(app, terminal_size=size)
    session.close()


@pytest.mark.slow
def test_animation(snapshot: SnapshotAssertion) -> None:
    """The moving picture of the README: a recording, every two seconds of it. Lines that stay are stored once."""
    picture = animate(asyncio.run(take_frames(RECORDING)))
    assert picture.encode().count(b"@keyframes") > 10
    assert len(picture.encode()) < 1_000_000
    assert picture == snapshot.use_extension(SVGImageExtension)


@pytest.mark.parametrize("size", [(20, 5), *SIZES.values()], ids=["20x5", *SIZES])
def test_live(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Live: one upload is stuck, one just failed with its cause, the activity pane shows the changes."""
    session = live()
    assert snap_compare(dashboard(session), terminal_size=size, run_before=publish_changes(session))
    session.close()


@pytest.mark.parametrize("size", [(100, 40), (113, 40), (116, 40)], ids=["100x40", "113x40", "116x40"])
def test_live_between(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Around the width at which the timeline appears: the table keeps all columns, and names stay distinct."""
    session = live()
    assert snap_compare(dashboard(session), terminal_size=size, run_before=publish_changes(session))
    session.close()


PANES = {"table": (), "timeline": ("tab",), "tail": ("tab", "tab"), "upload": ("enter",), "answer": ("enter", "tab")}


@pytest.mark.parametrize("pane", PANES)
@pytest.mark.parametrize("size", [(40, 12), (48, 24)], ids=["40x12", "48x24"])
def test_one_pane(snap_compare: Compare, pane: str, size: tuple[int, int]) -> None:
    """One pane fills the screen; in the table and in the activity pane the stuck upload stands out."""
    session = live()

    async def run(pilot: Pilot[int]) -> None:
        await settled(pilot)
        await pilot.press(*PANES[pane])
        await settled(pilot)

    assert snap_compare(dashboard(session), terminal_size=size, run_before=run)
    session.close()


@every_size
@pytest.mark.parametrize("theme", [theme.name for theme in THEMES if theme.name != "upload-dark"])
def test_themes(snap_compare: Compare, theme: str, size: tuple[int, int]) -> None:
    """The same picture in other colours; stages differ by symbol and word."""
    session = live()
    assert snap_compare(dashboard(session, theme=theme), terminal_size=size, run_before=publish_changes(session))
    session.close()


@every_size
def test_ascii(snap_compare: Compare, size: tuple[int, int]) -> None:
    """ASCII only: the stages are o, c, V and X, each with its word; no box-drawing characters."""
    session = live()
    assert snap_compare(dashboard(session, glyphs=ASCII), terminal_size=size, run_before=publish_changes(session))
    session.close()


@every_size
def test_no_color(snap_compare: Compare, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR: no colours; the cursor's row has a bar, and every stage has its symbol. Stuck is a reversed badge."""
    monkeypatch.setenv("NO_COLOR", "1")
    session = live()
    assert snap_compare(
        UploadApp(session, update_interval_seconds=0), terminal_size=size, run_before=publish_changes(session)
    )
    session.close()


SCREENS = {
    "help": ("question_mark", "The stages, and every key."),
    "shapes": ("w", "The status in three formats, and what each cannot express."),
    "upload": ("enter", "One upload: its timeline and the raw response."),
    "raw": ("J", "The same, with the focus on the raw response."),
    "latencies": ("l", "Latency between stages, as histograms."),
    "failures": ("F", "Failures by cause, with counts and times."),
    "columns": ("c", "The columns: which are shown, and their width."),
    "export": ("e", "The exports."),
    "projects": ("p", "The projects, and all of them."),
    "search": ("slash", "The search bar at the bottom."),
    "density": ("d", "Two lines for each upload; the second has what the columns leave out."),
    "absolute": ("t", "Absolute times."),
    "filtered": (
        "exclamation_mark",
        "Only uploads in trouble: the title shows the filter, the counts are those of all.",
    ),
    "marked": ("m", "The first upload is marked, and the title counts it."),
    "next-failed": ("E", "The cursor is on the first failed upload; its timeline shows the cause."),
}


@pytest.mark.parametrize("theme", ["upload-dark", "upload-light"])
def test_overview(snap_compare: Compare, theme: str) -> None:
    """The pictures of the README: trouble on top, the selected upload's timeline, what waits and what happened."""
    session = much_trouble()
    assert snap_compare(dashboard(session, theme=theme), terminal_size=(120, 40), run_before=publish_changes(session))
    session.close()


@every_size
def test_projects_dialog(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The dialog of 31 projects: their number in its title, and beside each its uploads, those in trouble in red."""
    session = many_projects()
    assert snap_compare(dashboard(session), terminal_size=size, press=["p"])
    session.close()


@every_size
def test_services(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Two services, one of them offline: its alarm line is red, its rows are faint, and each row has the name of its service."""
    names = {f"https://{name}.example.org": name for name in ("east", "west")}
    clock = FrozenClock()
    east, west = (
        InMemorySession(sample_uploads(), clock=clock, title=name, service=root) for root, name in names.items()
    )
    lost(ConnectionState.OFFLINE, 60, REFUSED, session=west, since_seconds_ago=60, retry_in_seconds=30)
    options = DisplayOptions(zone=UTC, services=tuple(names.items()))
    app = testing.dashboard(CombinedSession([east, west]), display_options=options)
    assert snap_compare(app, terminal_size=size)
    east.close()
    west.close()


@every_size
@pytest.mark.parametrize("screen", SCREENS)
def test_screens(snap_compare: Compare, screen: str, size: tuple[int, int]) -> None:
    """See the captions in `SCREENS`; three uploads have failed."""
    failed = [
        an_upload(f"plate-{n}.czi", initiated=900 + n, completed=840, error=832 - 60 * n, message=CHUNK_ERROR)
        for n in range(3)
    ]
    session = InMemorySession(sample_uploads(*failed))
    assert snap_compare(dashboard(session), terminal_size=size, press=[SCREENS[screen][0]])
    session.close()

"""The dashboard's states, each with the sentence that a reviewer holds the picture against."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from textual.pilot import Pilot

from tests.snapshots.scenes import CHUNK_ERROR, a_morning, dashboard
from upload_tui.monitor.picture import Connection, ConnectionState
from upload_tui.testing import NOW, SceneSession, an_upload, settled
from upload_tui.tui.glyphs import ASCII
from upload_tui.wire.designs import Design

Compare = Callable[..., bool]
SIZES = {"20x5": (20, 5), "60x20": (60, 20), "80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}


def live_session() -> SceneSession:
    """A morning, and some changes since the dashboard was opened."""
    return SceneSession(a_morning())


def tell(session: SceneSession) -> Callable[[Pilot[int]], object]:
    """A few changes, told before the picture is taken."""

    async def run(pilot: Pilot[int]) -> None:
        await pilot.pause()
        session.say(an_upload("reads_S7_R2.fastq.gz", initiated=14, chunks=(1,)))
        session.say(an_upload("aligned_S217.bam", initiated=180, completed=8, verified=1, size_bytes=1_900_000_000))
        session.say(an_upload("mask_03.nii", initiated=60, completed=30, error=3, message=CHUNK_ERROR))
        await settled(pilot)
        await pilot.press("g")

    return run


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_live(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Live: one upload looks stuck, one failed just now with its reason, the tail tells what happened."""
    session = live_session()
    assert snap_compare(dashboard(session), terminal_size=size, run_before=tell(session))
    session.close()


@pytest.mark.parametrize("theme", ["upload-light", "upload-safe-dark", "upload-safe-light", "upload-contrast"])
def test_themes(snap_compare: Compare, theme: str) -> None:
    """The same picture in other colours; the stages stay apart by sign and word."""
    session = live_session()
    assert snap_compare(dashboard(session, theme=theme), terminal_size=(120, 40), run_before=tell(session))
    session.close()


def test_ascii(snap_compare: Compare) -> None:
    """Plain ASCII: the stages are o, c, V and X, each with its word; nothing is a box or a bar of another character."""
    session = live_session()
    assert snap_compare(dashboard(session, glyphs=ASCII), terminal_size=(120, 40), run_before=tell(session))
    session.close()


def test_empty(snap_compare: Compare) -> None:
    """A project without uploads: all counts are 0, and the table says what will appear in it."""
    session = SceneSession()
    assert snap_compare(dashboard(session), terminal_size=(80, 24))
    session.close()


STATES = {
    "connecting": Connection(state=ConnectionState.CONNECTING, since=NOW),
    "catching-up": Connection(state=ConnectionState.CATCHING_UP, since=NOW, known=612, total=4000),
    "retrying": Connection(
        state=ConnectionState.RETRYING,
        since=NOW,
        read_on=NOW - timedelta(seconds=9),
        next_try_on=NOW + timedelta(seconds=8),
        reason="https://example.org/api/v1/projects did not answer in time",
    ),
    "offline": Connection(
        state=ConnectionState.OFFLINE,
        since=NOW - timedelta(minutes=41),
        read_on=NOW - timedelta(minutes=41),
        next_try_on=NOW + timedelta(seconds=30),
        reason="https://example.org cannot be reached",
    ),
    "not-allowed": Connection(
        state=ConnectionState.NOT_ALLOWED,
        since=NOW,
        read_on=NOW - timedelta(seconds=5),
        reason="401: expired api_token",
    ),
    "paused": Connection(state=ConnectionState.PAUSED, since=NOW, read_on=NOW - timedelta(minutes=3)),
}


@pytest.mark.parametrize("state", STATES)
def test_connection(snap_compare: Compare, state: str) -> None:
    """The header says whether what is shown can be believed, how old it is, and why it is not live."""
    session = live_session()
    session.set_connection(STATES[state])
    assert snap_compare(dashboard(session), terminal_size=(80, 24))
    session.close()


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("key", ["question_mark", "w", "enter"])
def test_screens(snap_compare: Compare, key: str, size: tuple[int, int]) -> None:
    """The help, one status in three designs, and the upload's own screen."""
    failed = an_upload("mask_03.nii", initiated=60, completed=30, error=3, message=CHUNK_ERROR, design=Design.DEPLOYED)
    session = SceneSession([failed])
    assert snap_compare(dashboard(session), terminal_size=size, press=[key])
    session.close()


def test_filtered(snap_compare: Compare) -> None:
    """Only the stuck and the failed: the title says so, and the counts above stay those of all uploads."""
    session = live_session()
    assert snap_compare(dashboard(session), terminal_size=(120, 40), press=["exclamation_mark"])
    session.close()


def test_worker_stopped(snap_compare: Compare) -> None:
    """Nothing ends while many wait: a sentence below the table says that it looks like the worker, not like one upload."""
    done = [an_upload(f"done-{n}.bin", initiated=2000 + n, completed=1900, verified=1890) for n in range(10)]
    waiting = [an_upload(f"waits-{n:02d}.bin", initiated=900 + n, completed=480 + n) for n in range(14)]
    session = SceneSession([*done, *waiting])
    assert snap_compare(dashboard(session), terminal_size=(120, 40))
    session.close()


def test_verified_but_not_whole(snap_compare: Compare) -> None:
    """The service says verified, but chunk 2 was never listed: the timeline contradicts it, and the strip shows the gap."""
    odd = an_upload("half.bin", initiated=60, completed=30, verified=20, chunks=(1, 3, 4), design=Design.DEPLOYED)
    session = SceneSession([odd])
    assert snap_compare(dashboard(session), terminal_size=(120, 40))
    session.close()


def test_hostile(snap_compare: Compare) -> None:
    """Escapes, markup, overrides, wide signs and 10,000 characters are drawn, not obeyed, and all columns stay aligned."""
    names = [
        "\x1b]0;owned\x07.txt",
        "[red]not red[/red].txt",
        "cod\u202etxt.exe",
        "日本語のとても長いファイル名です.tar.gz",
        "x" * 10_000 + ".gz",
        "a\nb\tc",
        "👩‍🔬.csv",
    ]
    session = SceneSession([an_upload(name, initiated=60 + index) for index, name in enumerate(names)])
    assert snap_compare(dashboard(session), terminal_size=(120, 40))
    session.close()


def test_tried_again(snap_compare: Compare) -> None:
    """Deployed and stuck: ticks say how often its silent worker must have tried, and when it probably tries next."""
    stuck = an_upload("simulation-00044.h5", initiated=90_000, completed=1200, design=Design.DEPLOYED)
    session = SceneSession([stuck])
    assert snap_compare(dashboard(session), terminal_size=(120, 40))
    session.close()


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("key", ["l", "F", "c", "e", "d"])
def test_tables_of_figures_and_menus(snap_compare: Compare, key: str, size: tuple[int, int]) -> None:
    """Latencies as histograms, failures by cause, the dialogs of columns and of exports, and rows with a second line."""
    failed = [
        an_upload(f"plate-{n}.czi", initiated=900 + n, completed=840, error=832 - 60 * n, message=CHUNK_ERROR)
        for n in range(3)
    ]
    session = SceneSession(a_morning(*failed))
    assert snap_compare(dashboard(session), terminal_size=size, press=[key])
    session.close()

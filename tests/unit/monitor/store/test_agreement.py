"""A query matches the same uploads in memory, in SQL and over the changes of the activity."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from upload_tui.errors import QueryError
from upload_tui.monitor import (
    Query,
    Row,
    SortKey,
    StageReached,
    Store,
    StorePicture,
    UploadChange,
    UploadGone,
    UploadKey,
    Where,
)
from upload_tui.monitor.changes import AnomalyNoticed, OwnStateReached, UploadPurged, UploadRef, UploadSeen
from upload_tui.monitor.model import Acknowledgement
from upload_tui.monitor.queries.matching import matches_change, matches_row
from upload_tui.monitor.queries.parser import parse_query, parse_query_as_typed
from upload_tui.monitor.queries.query import FIELDS, STAGE_NAMES, State, needs_upload
from upload_tui.status import Anomaly, AnomalyName, Certainty, Event, Stage, Timeline, UnknownState
from upload_tui.testing import FrozenClock
from upload_tui.wire import SIZE_DIFFERS, Upload
from upload_tui.wire.upload import Chunk

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
SERVICE = "https://dds.example.org"
TEXTS = (
    "a.bin", "É", "e\u0301 x", "straße", "STRASSE", "İstanbul", "100%_sure", 'say "hi"', "nul\x00l", "שלום", "c\\d", "run(1).bin",
    "two\nlines", "-dash", "", "ﬁle", "a,b", "Ω\u200f",
)  # fmt: skip
MESSAGES = ("", "hash differs: chunk 7", "no reason given", "É: kaputt", "chunk # lost", f"{SIZE_DIFFERS}: 3")
IDS = tuple(f"u-{number}" for number in range(6))


@st.composite
def pictures(draw: st.DrawFn) -> Sequence[Upload]:
    return [draw(uploads(upload_id)) for upload_id in IDS[: draw(st.integers(1, len(IDS)))]]


@st.composite
def uploads(draw: st.DrawFn, upload_id: str) -> Upload:
    stage = draw(st.sampled_from(Stage))
    on = NOW - timedelta(seconds=draw(st.sampled_from([0, 1, 60, 3600, 90_000])))
    passed = [Stage.INITIATED, Stage.COMPLETED][: min(stage.rank, 2)]
    message = draw(st.sampled_from(MESSAGES)) if stage is Stage.ERROR else None
    events = [Event(one, on - timedelta(seconds=10 * (2 - one.rank))) for one in passed if draw(st.booleans())]
    has_time = draw(st.booleans())
    last = Event(
        stage, on if has_time else None, Certainty.REPORTED if has_time else Certainty.OBSERVED, message=message
    )
    unknown = draw(st.sampled_from([None, None, None, UnknownState("Quarantäne", on)]))
    return Upload(
        id=upload_id,
        project_id=draw(st.sampled_from("pq")),
        project_name=draw(st.sampled_from(["Génome", ""])),
        name=draw(st.sampled_from(TEXTS)),
        size_bytes=draw(st.none() | st.sampled_from([0, 999, 10**6])),
        content_type=draw(st.sampled_from(["", "image/tiff"])),
        storage_provider=draw(st.sampled_from(["", "Été"])),
        uploader=draw(st.sampled_from(["", "Ana", "Žofie"])),
        timeline=Timeline((*events, last), unknown_state=unknown),
        read_on=NOW,
        anomalies=draw(st.sampled_from([(), (Anomaly(AnomalyName.CHUNKS_MISSING, "2"),)])),
    )


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


VALUES: dict[str, st.SearchStrategy[str]] = {
    "stage": st.sampled_from(STAGE_NAMES),
    "is": st.sampled_from([*map(str, State)]),
    "size": st.sampled_from(["0", "1KB", "1MB", "5EiB"]),
    "age": st.sampled_from(["0", "60", "1h", "1d1h"]),
    "took": st.sampled_from(["0", "10", "1h"]),
    "chunks": st.sampled_from(["0", "3"]),
    "since": st.sampled_from(["1h", "2026-03-14T11:59:30", "99999999d"]),
    "until": st.sampled_from(["1h", "2026-03-14T11:59:30"]),
}
PARTS = (
    "a",
    "E",
    "ss",
    "i",
    "%",
    "_",
    '"',
    "nul",
    "l\x00l",
    "לו",
    "u-1",
    "P",
    "géno",
    "two lines",
    "#",
    "no reason",
    "tiff",
    "žo",
    "ana",
    "verif",
    "err",
    "gone",
)
OPERATORS = {"stage": (":", "!="), "is": (":", "!="), "since": (":",), "until": (":",)}
COMPARED = {"size", "age", "took", "chunks"}
PHRASES = st.one_of(st.sampled_from((*PARTS, *TEXTS, *MESSAGES, "wrong size")), st.text(max_size=4)).map(quoted)


@st.composite
def fields(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from([*FIELDS]))
    plain = (":", "=", "!=", ">", ">=", "<", "<=") if name in COMPARED else (":", "=", "!=")
    values = draw(st.lists(VALUES.get(name, PHRASES), min_size=1, max_size=2))
    return name + draw(st.sampled_from(OPERATORS.get(name, plain))) + ",".join(values)


QUERIES = st.recursive(
    fields() | PHRASES | st.sampled_from(["bin", "É", "run(1)"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" ", " AND ", " OR "]), inner).map("".join),
        inner.map(lambda text: f"-({text})"),
        inner.map(lambda text: f"NOT ({text})"),
        inner.map(lambda text: f"({text})"),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


def changes_of(row: Row) -> Sequence[UploadChange]:
    """A change of each kind of an upload: the first is that after which it is as it is, if its stage is the last that it reached.

    The time of each is that of `since:` of its upload.
    """
    ref, on = UploadRef(row.id, row.name, row.project_id, row.project_name, row.service), row.first_event_on or NOW
    reached = StageReached(
        at=NOW,
        upload=ref,
        before=None,
        after=row.stage,
        on=on,
        certainty=Certainty.REPORTED,
        error_message=row.error_message,
    )
    anomaly = Anomaly(AnomalyName.CHUNKS_MISSING, "hash differs: 2")
    return (
        reached,
        UploadGone(at=on, upload=ref),
        UploadSeen(at=on, upload=ref),
        UploadPurged(at=on, upload=ref, on=None),
        AnomalyNoticed(at=on, upload=ref, anomaly=anomaly),
        OwnStateReached(at=on, upload=ref, state=row.unknown_state, on=on, certainty=Certainty.REPORTED),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=pictures(),
    text=QUERIES,
    gone=st.frozensets(st.sampled_from(IDS), max_size=2),
    acknowledged=st.frozensets(st.sampled_from(IDS), max_size=2),
    marked=st.frozensets(st.builds(UploadKey, st.sampled_from(IDS), st.just(SERVICE)), max_size=2),
    sort=st.sampled_from(SortKey),
)
def test_memory_sql_and_activity_agree(
    store: Store,
    found: Sequence[Upload],
    text: str,
    gone: frozenset[str],
    acknowledged: frozenset[str],
    marked: frozenset[UploadKey],
    sort: SortKey,
) -> None:
    store.db.execute("DELETE FROM uploads")
    store.put((upload, "{}", (), None) for upload in found)
    store.mark(gone, gone=True)
    store.acknowledge(acknowledged, Acknowledgement())
    picture = StorePicture(store, FrozenClock(NOW), SERVICE)
    where = parse_query(text)
    rows = picture.window(Query(sort=sort), 0, 99).rows
    if sort is SortKey.INITIATED:
        begun = [row.first_event_on or datetime.min.replace(tzinfo=UTC) for row in rows]
        assert begun == sorted(begun, reverse=Query().descending)
    expected = {row.id for row in rows if matches_row(where.tree, row, NOW, marked)}
    window = picture.window(Query(where=where, marked=marked, sort=sort), 0, 99)
    assert {row.id for row in window.rows} == expected
    assert window.total == len(window.rows) == len(expected)
    for row in rows:
        reached, gone_change, *others = changes_of(row)
        for change in (
            reached,
            gone_change,
            *others,
        ):  # the upload is read only if the tree compares what the change lacks
            read = row if needs_upload(where.tree) else None
            is_match = matches_change(where.tree, change, row, NOW, marked)
            assert matches_change(where.tree, change, read, NOW, marked) is is_match
        is_last_enough = not (row.is_gone and row.stage is Stage.ERROR)  # "gone" does not repeat why the upload failed
        if row.first_event_on is not None and is_last_enough and not (row.is_gone and row.unknown_state):
            last = gone_change if row.is_gone else others[-1] if row.unknown_state else reached
            assert matches_change(where.tree, last, row, NOW, marked) is (row.id in expected)


def every_kind() -> Iterator[Upload]:
    """An upload of each stage with each text, and whatever else a field compares."""
    for number, (text, stage) in enumerate(product(TEXTS, (*Stage, None))):
        on = None if number % 7 == 0 else NOW - timedelta(seconds=(0, 1, 60, 3600, 90_000)[number % 5])
        known = Stage.ERROR if stage is None else stage
        certainty = Certainty.OBSERVED if on is None else Certainty.REPORTED
        message = MESSAGES[number % len(MESSAGES)] if known is Stage.ERROR else None
        passed = tuple(Event(one, NOW - timedelta(days=2)) for one in Stage if one.rank < min(known.rank, 2))
        unknown = UnknownState(text or "?", on) if stage is None else None
        yield Upload(
            id=f"{text}-{number}" if number % 3 else f"u-{number}",
            project_id="pq"[number % 2],
            project_name=("Génome", "")[number % 2],
            name=text,
            size_bytes=(None, 0, 999, 10**6)[number % 4],
            content_type=("", "image/tiff")[number % 2],
            storage_provider=("", "Été")[number % 2],
            uploader=("", "Ana", "Žofie")[number % 3],
            timeline=Timeline((*passed, Event(known, on, certainty, message=message)), unknown_state=unknown),
            read_on=NOW,
            anomalies=(Anomaly(AnomalyName.CHUNKS_MISSING, "2"),) if number % 2 else (),
            chunks=(None, (), (Chunk(1, 5), Chunk(2, 5), Chunk(3, 5)))[number % 3],
        )


VALUES_OF = {
    "stage": STAGE_NAMES,
    "is": (*map(str, State), "stuck,gone"),
    "size": ("0", "999", "1MB", "5EiB", "0,1MB"),
    "age": ("0", "1", "60", "1h", "2d"),
    "took": ("0", "10", "2d", "99999999d"),
    "chunks": ("0", "2", "3"),
    "since": ("1h", "47h59m59.9996s", "2026-03-14T11:59:30", "2026-03-12T12:00:00.000400", "0001-01-01", "99999999d"),
    "until": ("1h", "47h59m59.9996s", "2026-03-14T11:59:30", "2026-03-12T12:00:00.000400", "9999-12-31"),
}


@pytest.fixture(scope="module")
def full_store() -> Iterator[Store]:
    store = Store()
    uploads = [*every_kind()]
    store.put((upload, "{}", (), None) for upload in uploads)
    store.mark((upload.id for upload in uploads[::5]), gone=True)
    store.acknowledge((upload.id for upload in uploads[1::4]), Acknowledgement())
    yield store
    store.close()


@pytest.mark.parametrize("name", ["", *FIELDS])
def test_every_value_of_a_field_matches_the_same_in_memory_and_in_sql(full_store: Store, name: str) -> None:
    picture = StorePicture(full_store, FrozenClock(NOW), SERVICE)
    rows = picture.window(Query(), 0, 999).rows
    marked = frozenset(row.key for row in rows[::6])
    operators = (":", "!=", "=", "<", "<=", ">", ">=") if name in COMPARED else OPERATORS.get(name, (":", "=", "!="))
    values = VALUES_OF.get(name, [quoted(text) for text in (*PARTS, *TEXTS, *MESSAGES, "wrong size", "dds", SERVICE)])
    counts = set()
    for operator, value in product(operators if name else ("",), values):
        for text in (
            f"{name}{operator}{value}",
            f"-{name}{operator}{value}",
            f"stage:error,verified {name}{operator}{value}",
        ):
            tree = parse_query(text).tree
            expected = {row.id for row in rows if matches_row(tree, row, NOW, marked)}
            window = picture.window(Query(where=Where(text, tree), marked=marked), 0, 999)
            assert {row.id for row in window.rows} == expected, text
            counts.add(len(expected))
    assert len(counts) > 2  # some match, some do not


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("service:svc", True),
        ('service="Svc É"', True),
        ("service:example.org", True),
        ("-service:svc", False),
        ("service:zz", False),
    ],
)
def test_a_service_is_found_by_its_title_in_memory_in_sql_and_in_the_activity(
    full_store: Store, text: str, is_found: bool
) -> None:
    picture = StorePicture(full_store, FrozenClock(NOW), SERVICE, title="Svc É")
    where = parse_query(text)
    row = picture.window(Query(), 0, 1).rows[0]
    found = [matches_row(where.tree, row, NOW), bool(picture.window(Query(where=where), 0, 1).rows)]
    assert needs_upload(where.tree)
    found += [matches_change(where.tree, change, row, NOW) for change in changes_of(row)]
    assert set(found) == {is_found}


HOSTILE = st.one_of(
    st.text(max_size=60),
    st.text(alphabet='"()-:,><=!AORNDT \\%_*\x00', max_size=60),
    st.sampled_from([
        '"' * 10_000, "(" * 10_000, ")" * 10_000, "-" * 10_000, "NOT " * 2_500, "a " * 5_000, "OR", "AND", "NOT", "a" * 10_000,
        '"' + "é" * 9_998 + '"', "size>" + "9" * 9_000, "name:" + "," * 9_000, "since:" + "1" * 9_000, "\u202e" * 100 + "stage:error",
        "\ud800", '"\ud800"', "\x00", "(-" * 5_000, "id:" + ",".join(["u"] * 64), " OR ".join(["x"] * 64), "-(" * 15 + "x" + ")" * 15,
    ]),
)  # fmt: skip


@given(text=HOSTILE)
@example(text="is:marked")
def test_a_hostile_query_is_parsed_or_refused_and_matches_the_same_everywhere(full_store: Store, text: str) -> None:
    where = parse_query_as_typed(text)
    assert isinstance(where, Where)
    picture = StorePicture(full_store, FrozenClock(NOW), SERVICE)
    rows = picture.window(Query(), 0, 999).rows
    expected = {row.id for row in rows if matches_row(where.tree, row, NOW)}
    assert {row.id for row in picture.window(Query(where=where), 0, 999).rows} == expected
    with suppress(QueryError):
        assert parse_query(text).text == text

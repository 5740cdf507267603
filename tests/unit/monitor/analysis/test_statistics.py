"""Statistics: counts, quantiles, causes and uploads in trouble in a `report`; causes and latencies of a session."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.monitor.analysis.statistics import (
    CauseCount,
    Latency,
    LatencyHistogram,
    Statistics,
    bucket_of,
    histogram_of,
    merge_histograms,
    normalize_cause,
    quantile,
    statistics_of,
)
from upload_tui.monitor.model import Detail, Trouble
from upload_tui.monitor.queries.query import Query
from upload_tui.status import Stage
from upload_tui.testing import NOW, InMemorySession, an_upload

DAY = 24 * 3600


def details_of(session: InMemorySession) -> Sequence[Detail]:
    return [
        detail
        for row in session.picture.window(Query(), 0, 999).rows
        if (detail := session.picture.detail(row.id)) is not None
    ]


@pytest.fixture
def statistics() -> Iterator[Statistics]:
    uploads = [
        # 101 verifications that took 0 to 100 s, so that each percentile is a number of its own
        *(an_upload(f"v{n}", initiated=3200, completed=3000, verified=3000 - n) for n in range(101)),
        an_upload("odd", initiated=90_000, completed=80_000, verified=10, chunks=(1, 3)),
        *(
            an_upload(f"e{n}", initiated=400, completed=300, error=290, message=f"no route to host {n}")
            for n in range(3)
        ),
        an_upload("e-late", initiated=3 * DAY, completed=2 * DAY, error=DAY + 1, message="rare"),
        an_upload("e-none", initiated=400, completed=300, error=290),
        an_upload("overdue", initiated=300, completed=150),
        an_upload("stuck", initiated=2000, completed=901),
        an_upload("idle", initiated=901),
        an_upload("new", initiated=5),
    ]
    session = InMemorySession(uploads)
    yield statistics_of(details_of(session))
    session.close()


def test_every_upload_counts_once(statistics: Statistics) -> None:
    assert dict(statistics.counts) == {Stage.INITIATED: 2, Stage.COMPLETED: 2, Stage.VERIFIED: 102, Stage.ERROR: 5}
    assert statistics.total == 111


def test_uploads_in_a_state_of_their_own_are_in_no_stage_and_counted_by_its_name() -> None:
    states = ["archived", "quarantined", "quarantined"]
    own = [{**an_upload(f"{n}"), "status": {"current": {"state": state}}} for n, state in enumerate(states)]
    session = InMemorySession([an_upload("new", initiated=5), *own])
    for details in (details_of(session), details_of(session)[::-1]):
        found = statistics_of(details)
        assert [*found.unknown_states.items()] == [("quarantined", 2), ("archived", 1)]
        assert found.counts == {**dict.fromkeys(Stage, 0), Stage.INITIATED: 1}
        assert found.total == 4
    session.close()


def test_latencies_are_quantiles_of_uploads_that_do_not_contradict_themselves(statistics: Statistics) -> None:
    by_stages = {(latency.from_stage, latency.to_stage): latency for latency in statistics.latencies}
    assert by_stages[Stage.COMPLETED, Stage.VERIFIED] == Latency(Stage.COMPLETED, Stage.VERIFIED, 101, 50, 95, 99)
    assert by_stages[Stage.INITIATED, Stage.COMPLETED].samples == 108
    assert by_stages[Stage.COMPLETED, Stage.ERROR].samples == 5
    assert [*by_stages] == [
        (Stage.INITIATED, Stage.COMPLETED),
        (Stage.COMPLETED, Stage.VERIFIED),
        (Stage.COMPLETED, Stage.ERROR),
    ]


def test_causes_are_ordered_by_the_number_of_failures(statistics: Statistics) -> None:
    assert statistics.causes[0] == CauseCount("no route to host #", 3)
    assert {*statistics.causes[1:]} == {CauseCount("rare", 1), CauseCount("no reason given", 1)}
    reverse = InMemorySession(
        [
            an_upload("first", completed=9, error=8, message="rare"),
            *(an_upload(f"{n}", completed=9, error=8, message="often") for n in range(3)),
        ]
    )
    for details in (details_of(reverse), details_of(reverse)[::-1]):
        assert statistics_of(details).causes == [CauseCount("often", 3), CauseCount("rare", 1)]
    reverse.close()


def test_uploads_in_trouble_are_named_by_their_trouble(statistics: Statistics) -> None:
    session = InMemorySession(
        [an_upload(name) for name in ("odd", "overdue", "stuck", "idle", "e0", "e1", "e2", "e-none")]
    )
    ids = {row.name: row.id for row in session.picture.window(Query(), 0, 99).rows}
    session.close()

    def named(found: Sequence[str]) -> set[str]:
        return {name for name, upload_id in ids.items() if upload_id in found}

    assert named(statistics.stuck_ids) == {"stuck", "idle"}
    assert named(statistics.overdue_ids) == {"stuck", "idle", "overdue"}
    assert {trouble: named(found) for trouble, found in statistics.trouble_ids.items()} == {
        Trouble.CONTRADICTORY: {"odd"},
        Trouble.STUCK: {"stuck", "idle"},
        Trouble.FAILED: {"e0", "e1", "e2", "e-none"},
        Trouble.OVERDUE: {"overdue"},
    }
    assert [*statistics.trouble_ids] == [*Trouble]
    assert sum(map(len, statistics.trouble_ids.values())) == 8


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("", "no reason given"),
        ("disk 12 full", "disk # full"),
        ("hash 0a1b2c3d4e differs: expected 1", "hash # differs"),
        ("quota; used 3", "quota"),
        ("decade", "decade"),
    ],
)
def test_a_cause_has_no_variable_parts(message: str, cause: str) -> None:
    assert normalize_cause(message) == cause


HASH = "reported chunk hash does not match that computed by StorageProvider"


def test_failures_are_grouped_if_only_variable_parts_differ() -> None:
    failed = [
        an_upload(f"f{n}", completed=60, error=30 + n, message=f"{HASH}: chunk {n}, reported 0a1b2c3d4e5f{n}")
        for n in range(3)
    ]
    other = an_upload("other", completed=60, error=10, message=None)
    session = InMemorySession([*failed, other, an_upload("good", completed=9, verified=5)])
    groups = session.picture.causes()
    assert [(group.cause, group.count) for group in groups] == [(HASH, 3), ("no reason given", 1)]
    assert (groups[0].storage_provider, groups[0].uploader) == ("embedded", "Ada Lovelace")
    assert (groups[0].first_on, groups[0].last_on) == (NOW - timedelta(seconds=32), NOW - timedelta(seconds=30))
    assert groups[0].last_id == failed[0]["id"]
    session.close()


def test_latencies_are_counted_for_each_pair_of_stages() -> None:
    verified = [an_upload(f"v{n}", initiated=100, completed=60, verified=60 - n) for n in (1, 2, 4, 8)]
    session = InMemorySession([*verified, an_upload("bad", initiated=100, completed=60, error=10)])
    uploading, verifying, failing = session.picture.latencies()
    assert (uploading.from_stage, uploading.to_stage, uploading.count) == (Stage.INITIATED, Stage.COMPLETED, 5)
    assert verifying.count == 4
    assert [(bucket.from_seconds, bucket.count) for bucket in verifying.buckets] == [(1, 1), (2, 1), (4, 1), (8, 1)]
    assert failing.count == 1
    assert verifying.p50_seconds == 3
    session.close()


@pytest.mark.parametrize("uploading", [1, 3, 30.0, 30.4, 900])
@pytest.mark.parametrize("verifying", [(30,), (30, 30, 30), (1, 2, 4, 8), (0.4, 29, 31, 3000)])
def test_the_dashboard_has_the_quantiles_of_the_report(uploading: float, verifying: tuple[float, ...]) -> None:
    session = InMemorySession(
        an_upload(f"{n}.bin", initiated=5000 + uploading, completed=5000, verified=5000 - seconds)
        for n, seconds in enumerate(verifying)
    )
    shown = [latency for latency in session.picture.latencies() if latency.count]
    reported = statistics_of(details_of(session)).latencies
    session.close()
    assert [(one.p50_seconds, one.p95_seconds, one.p99_seconds, one.count) for one in shown] == [
        (one.p50_seconds, one.p95_seconds, one.p99_seconds, one.samples) for one in reported
    ]
    assert all(one.is_exact for one in shown)


@pytest.mark.parametrize(("share", "name"), [(0.5, "p50_seconds"), (0.95, "p95_seconds"), (0.99, "p99_seconds")])
def test_the_quantiles_of_a_histogram_are_off_by_less_than_a_tenth(share: float, name: str) -> None:
    durations = [1.01**n for n in range(1000)]  # the next quantile to be confused with is more than half as large again
    counts = Counter(bucket_of(round(seconds * 1000)) for seconds in durations)
    histogram = histogram_of(Stage.COMPLETED, Stage.VERIFIED, counts)
    assert getattr(histogram, name) == pytest.approx(quantile(durations, share), rel=0.1)
    assert not histogram.is_exact


@given(st.lists(st.lists(st.integers(0, 10**8), max_size=20), min_size=1, max_size=4))
def test_merged_histograms_have_the_buckets_of_all_durations(parts: list[list[int]]) -> None:
    def histogram(milliseconds: Iterable[int]) -> LatencyHistogram:
        return histogram_of(Stage.COMPLETED, Stage.VERIFIED, Counter(map(bucket_of, milliseconds)))

    merged = merge_histograms([histogram(part) for part in parts])
    assert merged.buckets == histogram(chain(*parts)).buckets
    assert merged.count == sum(map(len, parts))


def test_an_empty_histogram_has_no_buckets() -> None:
    assert histogram_of(Stage.COMPLETED, Stage.VERIFIED, {}).buckets == ()
    assert bucket_of(0) == bucket_of(1)

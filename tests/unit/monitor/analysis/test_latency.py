"""Causes and latencies of a session."""

from datetime import timedelta

import pytest

from upload_tui.monitor.analysis.latency import bucket_of, histogram_of
from upload_tui.status import Stage
from upload_tui.testing import NOW, InMemorySession, an_upload

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
    assert verifying.p50_seconds is not None
    assert verifying.p50_seconds == pytest.approx(2, rel=0.2)
    session.close()


def test_an_empty_histogram_has_no_buckets() -> None:
    assert histogram_of(Stage.COMPLETED, Stage.VERIFIED, {}).buckets == ()
    assert bucket_of(0) == bucket_of(1)

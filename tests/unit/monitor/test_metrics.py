"""Metrics: the same from a picture and from its uploads, and valid in both formats whatever the text."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from upload_tui.monitor import METRICS, ProjectRef, Query, ServiceFigures, figures_of_uploads, project_figures
from upload_tui.monitor.metrics import write_metrics
from upload_tui.monitor.model import Acknowledgement
from upload_tui.testing import NOW, InMemorySession, an_upload, sample_uploads

PROJECT = ProjectRef("p-1", "Genome")
SERVICE = ServiceFigures("https://dds.test", is_up=True, responses={"200": 7, "none": 1}, errors=1)
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def samples(text: str, *, is_openmetrics: bool = False) -> Mapping[tuple[str, ...], float]:
    """The values by name and labels."""
    families = parse_openmetrics(text) if is_openmetrics else parse_text(text)  # type: ignore[no-untyped-call]
    return {
        (sample.name, *sorted(f"{name}={value}" for name, value in sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_figures_of_a_picture_are_those_of_its_uploads() -> None:
    own_states = [an_upload(name, status={"current": {"state": name}}) for name in ("quarantined", "scanning")]
    session = InMemorySession([*sample_uploads(), an_upload("wrong times", completed=60, verified=90), *own_states])
    picture, read_on = session.picture, NOW - timedelta(seconds=40)
    stuck = [row.id for row in picture.window(Query(), 0, 99).rows if row.trouble == "stuck"]
    picture.acknowledge(stuck[:1], Acknowledgement("known"))
    rows = picture.window(Query(), 0, 1000).rows
    details = [detail for row in rows if (detail := picture.detail(row.id)) is not None]
    own = project_figures(picture, "https://dds.test", PROJECT, read_on)
    assert replace(own, revision=-1) == figures_of_uploads(details, "https://dds.test", PROJECT, NOW, read_on)
    assert project_figures(picture, "https://dds.test", PROJECT, read_on, own) == own
    assert own.stages["unknown"] == len(own_states)
    assert sum(own.stages.values()) == len(details)
    assert own.age_seconds == 40
    assert own.acknowledged == len(stuck[:1]) > 0
    assert {*own.oldest_pending_seconds} == {"initiated", "completed"}
    session.close()


def test_durations_are_those_of_now_also_if_the_counts_are_the_same() -> None:
    session = InMemorySession([an_upload("slow", completed=60, verified=10)])
    before = project_figures(session.picture, SERVICE.service, PROJECT, NOW)
    session.publish(an_upload("slow", completed=60, verified=50))
    figures = project_figures(session.picture, SERVICE.service, PROJECT, NOW, before)
    assert figures.stages == before.stages
    assert figures.durations == session.picture.latencies(frozenset({PROJECT.id})) != before.durations
    session.close()


@pytest.mark.parametrize("name", ["Genome", 'a"b\\', "a\nb\x1b[31m", "\u202egnp", "É\x00", ""])
@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "openmetrics"])
def test_the_text_is_valid_whatever_a_project_is_called(name: str, accept: str) -> None:
    session = InMemorySession(sample_uploads())
    figures = project_figures(session.picture, SERVICE.service, ProjectRef("p-1", name), NOW)
    text = write_metrics([SERVICE], [figures], accept)
    found = samples(text.body.decode(), is_openmetrics=bool(accept))
    assert ("openmetrics" in text.content_type) is bool(accept)
    assert found["upload_tui_requests_total", "code=none", "service=https://dds.test"] == 1
    assert {key[0] for key in found} == {
        name
        for metric in METRICS
        for name in (
            [f"{metric.name}_{part}" for part in ("bucket", "count", "sum")]
            if metric.kind == "histogram"
            else [metric.name]
        )
    }
    assert not any("project_name=" in key for key in found)
    assert all(
        any(label.startswith("project=p-1") for label in key)
        for key in found
        if "request" not in key[0] and key[0] != "upload_tui_up"
    )
    session.close()


def test_buckets_are_cumulative_and_end_with_the_count() -> None:
    session = InMemorySession(sample_uploads())
    figures = project_figures(session.picture, SERVICE.service, PROJECT, NOW)
    found = samples(write_metrics([], [figures]).body.decode())
    buckets = [
        (key, value) for key, value in found.items() if key[0].endswith("_bucket") and {"to=verified"} & set(key)
    ]
    counts = [value for _, value in buckets]
    assert counts == sorted(counts)
    assert "le=+Inf" in buckets[-1][0]
    (histogram,) = [one for one in figures.durations if one.to_stage == "verified"]
    assert counts[-1] == histogram.count > 0
    session.close()


@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "openmetrics"])
@pytest.mark.parametrize(
    "names",
    [("p\x1b", "p\u241b", "p\u241b (2)"), ("\u00e9", "e\u0301"), ("", "\u200d"), ("a\u202e", "a\u202d", "a\ufffd")],
    ids=ascii,
)
def test_no_sample_is_there_twice_if_names_differ_in_what_is_invisible(names: Sequence[str], accept: str) -> None:
    """A collector for text files refuses all samples if one is there twice."""
    session = InMemorySession(sample_uploads())
    figures = [project_figures(session.picture, "s", ProjectRef(name, name), NOW) for name in names]
    text = write_metrics([], figures, accept).body.decode()
    lines = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == len({*lines}) > 0
    assert len(samples(text, is_openmetrics=bool(accept))) == len(lines)
    session.close()

"""A masked recording: nothing of the originals is in it, and its replay shows the same."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upload_tui.monitor import Query, RecordingHeader, RecordingMask, RecordingWriter, ReplaySession, read_recording
from upload_tui.monitor.changes import StageReached, UploadChange
from upload_tui.monitor.model import Acknowledgement, ProjectRef
from upload_tui.monitor.recording import RecordingStore
from upload_tui.monitor.sync.ingest import ingest
from upload_tui.testing import NOW, FrozenClock, an_upload
from upload_tui.wire import StatusShape, UploadReading, read_upload

RECORDING = Path(__file__).parents[2] / "formats" / "expected" / "recording.jsonl"


def masked(lines: Sequence[Mapping[str, Any]], file: Path) -> str:
    mask = RecordingMask()
    text = "".join(json.dumps(mask.mask(line), ensure_ascii=False) + "\n" for line in lines)
    file.write_text(text, encoding="utf-8")
    return text


def story(file: Path) -> object:
    """What a replay shows at its end, without names, ids and messages."""
    session = ReplaySession(*read_recording(file), base=FrozenClock())
    session.seek(session.ends_on)
    rows = session.picture.window(Query(), 0, 1000).rows
    details = [session.picture.detail(row.id) for row in rows]
    changes = [change for change in session.changes.history(1000) if isinstance(change, UploadChange)]
    found = (
        session.picture.funnel().stages,
        session.picture.funnel().troubles,
        [group.count for group in session.picture.causes()],
        session.picture.latencies(),
        [
            (row.stage, row.stage_since, row.since_certainty, row.size_bytes, row.chunk_count, row.chunk_bytes)
            for row in rows
        ],
        [(row.lateness, row.trouble, row.is_gone, row.is_purged, bool(row.unknown_state), row.read_on) for row in rows],
        [[anomaly.name for anomaly in detail.anomalies] for detail in details if detail],
        [len({chunk.digest for chunk in detail.upload.chunks or ()}) for detail in details if detail],
        [
            (
                type(change),
                change.at,
                (change.before, change.after, change.on) if isinstance(change, StageReached) else None,
            )
            for change in changes
        ],
        [[row.name for row in rows].index(change.upload.name) for change in changes if change.upload.name],
        (session.recorded_connection.state, session.recorded_connection.read_on),
    )
    session.close()
    return found


def strings(value: object, field: str = "") -> list[str]:
    """The names, ids and texts of a line."""
    if isinstance(value, Mapping):
        return [text for key, one in value.items() for text in strings(one, key)]
    if isinstance(value, list):
        return [text for one in value for text in strings(one, field)]
    return (
        [value] if isinstance(value, str) and field in {"id", "name", "username", "full_name", "ids", "value"} else []
    )


def test_the_replay_of_a_masked_recording_shows_the_same(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in RECORDING.read_text(encoding="utf-8").splitlines()]
    text = masked(lines, tmp_path / "masked.jsonl")
    assert story(tmp_path / "masked.jsonl") == story(RECORDING)
    originals = {original for line in lines for original in strings(line)} - {"sha256", "md5"}
    assert [original for original in originals if len(original) > 4 and original in text] == []
    assert "example.org" not in text


TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=2, max_size=12)
"""Begins with letters that no replacement and no word has."""


@settings(max_examples=10)
@given(
    originals=st.lists(TEXT.map(lambda text: f"Xq{text}"), min_size=12, max_size=12, unique=True),
    shape=st.sampled_from(StatusShape),
    is_numbered=st.booleans(),
)
def test_nothing_of_the_originals_is_in_a_masked_recording(
    originals: list[str], shape: StatusShape, is_numbered: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    upload_id, name, project_id, project, person, message, path, provider, digest, key, service, state = originals
    resource = an_upload(
        name,
        completed=60,
        error=30,
        message=f"{message}: /data/{path}" if is_numbered else f"reported hash does not match: {path}",
        project=(project_id, project),
        status_shape=shape,
    )
    resource |= {
        "id": upload_id,
        "content_type": f"application/{provider}",
        "storage_provider": {"id": provider, "name": provider, "description": provider},
        "hashes": [{"algorithm": digest, "value": digest}],
        key: {key: [person]},
        "url": f"https://{service}/{path}",
        "tags": [name, {"by": person}],
    }
    resource["audit"]["created_by"] = {"id": person, "username": person, "full_name": person, "email": person}
    line = {"id": upload_id, "name": name, "stage": state, "by": person, "project": project, "error_message": message}
    file = tmp_path_factory.mktemp("masked") / "recording.jsonl"
    header = RecordingHeader(NOW, f"https://{service}", f"{service} {path}", (ProjectRef(project_id, project),), 900)
    with RecordingWriter(file, header, RecordingMask()) as writer:
        store = RecordingStore(writer)
        raw = json.dumps(resource, ensure_ascii=False)
        result = ingest(store, [UploadReading(read_upload(resource, read_on=NOW), raw)], f"https://{service}")
        for change in result.changes:
            writer.write_change(change)
        store.acknowledge([upload_id], Acknowledgement(person))
        store.mark([upload_id], stale=True)
        writer.write_line(NOW, "request", path=f"/uploads/{upload_id}", query={"page": 1}, detail=f"{message}: {path}")
        writer.write_line(
            NOW, "kept", raw={"source": 1, "project": project, "line": line, "seen": {}}, noticed=[], earliest=None
        )
        store.close()
    text = file.read_text(encoding="utf-8")
    for original in originals:
        assert original.lower() not in text.lower()
        assert json.dumps(original)[1:-1] not in text
    assert "Xq" not in text
    session = ReplaySession(*read_recording(file), base=FrozenClock())
    session.seek(session.ends_on)
    assert len(session.picture.window(Query(), 0, 9).rows) >= 1
    session.close()

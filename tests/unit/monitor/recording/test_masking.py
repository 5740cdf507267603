"""A masked recording: nothing of the originals is in it, and its replay shows the same."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from upload_tui.monitor import Query, RecordingHeader, RecordingMask, RecordingWriter, ReplaySession, read_recording
from upload_tui.monitor.changes import OwnStateReached, StageReached, UploadChange, UploadRef
from upload_tui.monitor.model import Acknowledgement, ProjectRef
from upload_tui.monitor.recording.file_format import RecordingStore
from upload_tui.monitor.sync.ingest import ingest
from upload_tui.status import SOURCE_PREFIX, Certainty
from upload_tui.testing import NOW, FrozenClock, an_upload
from upload_tui.wire import StatusShape, UploadReading, parse_upload

RECORDING = Path(__file__).parents[3] / "formats" / "expected" / "recording.jsonl"


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


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ("chunks 3, 5 and 12 are listed more than once", True),
        ("access denied 403", True),
        ("access denied 5551 2345", False),
        ("not found: 1234 5678 9012 3456", False),
    ],
)
def test_a_number_in_groups_is_masked(text: str, is_kept: bool) -> None:
    masked = RecordingMask().mask({"message": text})["message"]
    assert (masked == text) == is_kept
    assert is_kept or not re.search(r"\d{4}", masked)


TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=2, max_size=12)
LABEL = st.from_regex(r"[a-z][a-z0-9]{3,9}", fullmatch=True).map(lambda label: f"xq{label}")
PERSON = st.tuples(
    st.sampled_from(["Ada", "Zo\u00eb", "J\u00fcrgen"]), st.sampled_from(["Lovelace", "O'Neil", "\u0141uka"])
)
IDENTIFYING = st.one_of(
    TEXT.map(lambda text: f"Xq{text}"),  # begins with letters that no replacement and no word has
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str).filter(lambda address: len(address) > 5),
    st.integers(10_000, 10**18).map(str),
    st.integers(10_000, 10**12).map(lambda number: f"{number % 97:02}-{number}"),
    st.uuids().map(str),
    PERSON.map(" ".join),
    st.tuples(LABEL, LABEL).map("@".join).map(lambda address: f"{address}.org"),
    st.tuples(LABEL, LABEL).map(".".join),
    st.tuples(LABEL, LABEL).map(lambda names: f"/home/{names[0]}/{names[1]}.fastq"),
    LABEL.map(lambda name: f"C:\\Users\\{name}"),
)
"""What may identify an upload, a person or a computer."""
MESSAGES = (
    "{0}",
    "{0}: /data/{1}",
    "reported hash does not match: {1}",
    "connection refused by {0}",
    "cannot be read: host {0} closed connection 7",
    "upload {0}, bytes {1}",
    "reported 4000000 bytes, stored 4000001, by {0}",
    "not found (#{0}): 12 bytes at {1};",
)


@settings(max_examples=10)
@given(
    originals=st.lists(IDENTIFYING, min_size=12, max_size=12, unique_by=str.lower),
    shape=st.sampled_from(StatusShape),
    template=st.sampled_from(MESSAGES),
    is_number=st.booleans(),
)
def test_nothing_of_the_originals_is_in_a_masked_recording(
    originals: list[str],
    shape: StatusShape,
    template: str,
    is_number: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    plain = json.dumps(an_upload("", completed=60, error=30, status_shape=shape))
    assume({*re.findall(r"\d+", plain + template)}.isdisjoint(originals))  # numbers of the upload stay
    upload_id, name, project_id, project, person, message, path, provider, digest, key, service, state = originals
    resource = an_upload(
        name,
        completed=60,
        error=30,
        message=template.format(message, path),
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
    resource["audit"]["created_by"] = {
        "id": person,
        "username": int(person) if is_number and person.isdigit() else person,
        "full_name": person,
        "email": person,
    }
    line = {"id": upload_id, "name": name, "stage": state, "by": person, "project": project, "error_message": message}
    file = tmp_path_factory.mktemp("masked") / "recording.jsonl"
    header = RecordingHeader(NOW, f"https://{service}", f"{service} {path}", (ProjectRef(project_id, project),), 900)
    with RecordingWriter(file, header, RecordingMask()) as writer:
        store = RecordingStore(writer)
        raw = json.dumps(resource, ensure_ascii=False)
        result = ingest(store, [UploadReading(parse_upload(resource, read_on=NOW), raw)], f"https://{service}")
        for change in result.changes:
            writer.write_change(change)
        ref = UploadRef(upload_id, name, project_id, project, f"{SOURCE_PREFIX}{service}")
        held = OwnStateReached(at=NOW, upload=ref, state=state, on=NOW, certainty=Certainty.REPORTED)
        writer.write_change(held)
        store.acknowledge([upload_id], Acknowledgement(person))
        store.mark([upload_id], stale=True)
        writer.write_line(
            NOW, "request", path=f"/uploads/{upload_id}", query={"page": 1}, detail=template.format(path, message)
        )
        writer.write_line(
            NOW, "stored", raw={"source": 1, "project": project, "line": line, "seen": {}}, noticed=[], earliest=None
        )
        store.close()
    text = file.read_text(encoding="utf-8")
    for original in originals:
        for form in (original, json.dumps(original)[1:-1]):
            assert not re.search(rf"(?<![0-9a-z]){re.escape(form)}(?![0-9a-z])", text, re.IGNORECASE), form
    assert "xq" not in text.lower()
    session = ReplaySession(*read_recording(file), base=FrozenClock())
    session.seek(session.ends_on)
    assert len(session.picture.window(Query(), 0, 9).rows) >= 1
    assert any(isinstance(change, OwnStateReached) for change in session.changes.history(99))
    session.close()

"""What a fuzzer may call, by name: whatever the bytes are, the result is a value or an error of our own."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from starlette.requests import Request
from starlette.types import Message

from tests.fuzz.agreement import assert_readers_agree
from tests.fuzz.source_lines import assert_line_is_stable
from upload_tui.backend.api_errors import ApiError
from upload_tui.backend.request_models import RequestModel, read_body
from upload_tui.errors import InvalidResponseError, QueryError, SettingsError, StorageError
from upload_tui.monitor import Query, ReplaySession, matches_row, parse_query, read_recording
from upload_tui.settings import Flags, SettingsPaths, read_settings
from upload_tui.testing import NOW, FrozenClock, InMemorySession, an_upload, sample_uploads
from upload_tui.wire import read_upload

__all__ = ["CORPUS", "TARGETS", "Target"]

CORPUS = Path(__file__).parent / "corpus"
"""A folder for each target."""

Target: TypeAlias = Callable[[bytes], None]


def _parse_any_query(data: bytes) -> None:
    """A mistake is inside the query; what a query finds in the store is what it matches."""
    text = data.decode("utf-8", "replace")
    mistake = None
    try:
        where = parse_query(text)
    except QueryError as error:
        mistake = error
    if mistake is not None:
        assert 0 <= mistake.position <= len(text), mistake.position
        return
    assert parse_query(text) == where
    picture = _session().picture
    rows = picture.window(Query(), 0, 100).rows
    found = {row.id for row in picture.window(Query(where=where), 0, 100).rows}
    assert found == {row.id for row in rows if matches_row(where.tree, row, NOW)}


@cache
def _session() -> InMemorySession:
    return InMemorySession(sample_uploads())


def _read_any_recording(data: bytes) -> None:
    """Each recording that is read can be played to its end."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "it.jsonl"
        file.write_bytes(data)
        with suppress(StorageError):
            header, lines = read_recording(file)
            session = ReplaySession(header, lines, base=FrozenClock())
            try:
                session.seek(session.ends_on)
                session.picture.funnel()
            finally:
                session.close()


def _read_any_settings(data: bytes) -> None:
    """As the settings file, and as that of the published client."""
    with TemporaryDirectory() as folder:
        files = Path(folder) / "config.toml", Path(folder) / "ddsclient"
        for file in files:
            file.write_bytes(data)
            file.chmod(0o600)
        for paths in (SettingsPaths(files[0], Path(folder) / "none"), SettingsPaths(Path(folder) / "none", files[1])):
            with suppress(SettingsError):
                read_settings({}, Flags(), paths, needs_service=False)


def _read_any_status(data: bytes) -> None:
    """As the status of an upload that is right otherwise."""
    try:
        status = json.loads(data)
    except (ValueError, RecursionError):
        return
    resource = {**an_upload(), "status": status}
    with suppress(InvalidResponseError):
        upload = read_upload(resource, read_on=NOW)
        assert upload == read_upload(resource, read_on=NOW)


_FORM = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/x-www-form-urlencoded")]}
_JSON = {"type": "http", "method": "POST", "headers": []}


def _read_any_body(data: bytes) -> None:
    """As the body of each call of the service: as JSON and as a form."""

    async def receive() -> Message:
        return {"type": "http.request", "body": data, "more_body": False}

    for scope in (_FORM, _JSON):
        for model in RequestModel.__subclasses__():
            reading = read_body(Request(scope, receive), model)
            with suppress(ApiError, StopIteration):
                reading.send(None)


TARGETS: Mapping[str, Target] = {
    "pages": assert_readers_agree,
    "lines": assert_line_is_stable,
    "queries": _parse_any_query,
    "recordings": _read_any_recording,
    "settings": _read_any_settings,
    "statuses": _read_any_status,
    "bodies": _read_any_body,
}

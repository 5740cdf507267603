"""What a fuzzer may call, by name: whatever the bytes are, the result is a value or an error of our own."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from inspect import iscoroutinefunction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import pytest
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
from upload_tui.wire import parse_upload

__all__ = ["CORPUS", "PROPERTIES", "TARGETS", "Target", "property_target"]

CORPUS = Path(__file__).parent / "corpus"
"""A folder for each target."""

Target: TypeAlias = Callable[[bytes], object]


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
        upload = parse_upload(resource, read_on=NOW)
        assert upload == parse_upload(resource, read_on=NOW)


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

PROPERTIES: Mapping[str, str] = {
    "uploads_shown_or_missing": "unit.monitor.sync.test_missing_uploads:test_every_listed_upload_is_known_or_counted_as_missing",
    "changing_service": "unit.monitor.sync.test_synchroniser:test_the_picture_equals_the_service_when_changes_stop",
    "two_processes": "unit.monitor.sync.test_synchroniser:test_two_processes_over_one_store_both_publish_everything_once",
    "bulk_load": "unit.monitor.sync.test_synchroniser:test_nothing_is_missed_in_a_bulk_load",
    "listings": (
        "unit.monitor.sync.test_source_synchroniser:"
        "test_the_picture_equals_the_last_whole_listing_and_nothing_else_makes_anything_gone"
    ),
    "trouble": "unit.monitor.analysis.test_trouble:test_rows_filter_funnel_and_pending_uploads_agree",
    "names": "unit.monitor.store.test_search:test_any_part_of_a_name_finds_it",
    "query_parsers": "unit.monitor.test_queries:test_both_parsers_agree",
    "json_lines": "unit.sources.test_contract:test_any_json_value_is_read_and_stored_without_an_exception",
    "line_summaries": "unit.sources.test_summaries:test_a_summary_and_a_full_parse_store_the_same",
    "page_summaries": "unit.wire.test_page_summaries:test_a_summary_agrees_with_a_full_parse",
    "status_shapes": "unit.wire.test_status_shapes:test_all_shapes_have_the_same_stage",
    "json_uploads": "unit.wire.test_upload:test_any_json_is_an_upload_or_an_invalid_response",
    "secrets": "unit.test_redaction:test_a_body_with_a_secret_is_never_stored_as_it_is",
    "options": "unit.cli.support.test_options:test_any_text_is_accepted_or_a_usage_error",
    "hostile_commands": "tui.test_upload_commands:test_a_hostile_name_stays_in_its_argument_and_in_its_part_of_the_address",
    "hostile_text": "tui.test_hostile_text:test_rows_changes_and_timelines_are_printable_for_any_text",
    "short_names": "unit.tui.test_fitting:test_shortened_names_stay_different",
}  # fmt: skip
"""Hypothesis tests for which more inputs than those of the suite are worth their time."""


def property_target(test: str) -> Target:
    """A Hypothesis test, as `MODULE:NAME` below `tests`, that draws its values from bytes."""
    module, _, name = test.partition(":")
    found: Any = getattr(import_module(f"tests.{module}"), name)
    inner = found.hypothesis.inner_test
    with pytest.MonkeyPatch.context() as patch:
        if iscoroutinefunction(inner):
            run = lambda *args, **options: asyncio.run(inner(*args, **options))  # noqa: E731
            patch.setattr(found.hypothesis, "inner_test", run)
        target: Target = found.hypothesis.fuzz_one_input
    return target

"""Secrets in a line: neither what is stored and shown of it nor what `source check` prints has one. An id is shown as it is."""

import json
from typing import Any

import pytest
from tests.unit.sources.lines import line_of, upload_line

from upload_tui.sources import Inspection, can_store_as_printed, parse_line_summaries, source_reading
from upload_tui.sources.schema import LINE_FIELDS
from upload_tui.testing import NOW, an_upload
from upload_tui.wire import parse_project_page, parse_summaries, parse_upload_reading

SECRET = "c4naryS3cret"
URL = f"https://ada:{SECRET}@storage.test/x?token={SECRET}"
FORMS: list[Any] = [
    f"token={SECRET}", f"password={SECRET}", f"Bearer {SECRET}", URL, {"api_token": SECRET}, [{"state": f"password={SECRET}"}],
    {"password": {"more": SECRET}}, {f"password={SECRET}": 1}, [{"number": f"token={SECRET}", "size": 1}], {"state": URL},
]  # fmt: skip
FIELDS = [*(field.name for field in LINE_FIELDS if field.name != "id"), "type", "extra"]


@pytest.mark.parametrize("field", FIELDS)
def test_source_check_prints_no_secret_of_a_line(field: str) -> None:
    for form in FORMS:
        inspection = Inspection()
        lines = [line_of(**{field: form}), json.dumps({"type": "end", field: form, f"token={SECRET}": 3}).encode()]
        for number, line in enumerate([*lines, line_of(**{f"password={SECRET}": form})], 1):
            inspection.add_line(number, line)
        printed = (
            inspection.problems,
            inspection.notes,
            inspection.unknown_fields,
            inspection.unknown_types,
            inspection.field_counts,
        )
        assert inspection.line_count == len(lines) + 1
        assert SECRET not in repr((*printed, inspection.tally.notice, inspection.tally.end_line))


@pytest.mark.parametrize("field", ["name", "project", "by", "content_type", "stage", "error_message"])
def test_a_url_in_a_text_of_a_line_is_hidden(field: str) -> None:
    fields = {"stage": "error", field: URL}
    reading = source_reading(upload_line(**fields), None, read_on=NOW, default_project="p")
    assert "storage.test" in repr(reading.upload)
    assert SECRET not in repr(reading)
    found = parse_line_summaries([line_of(**fields)], NOW, "p")
    assert not can_store_as_printed([one for one in found if one]) or found == [None]


def test_a_url_in_a_text_of_a_service_is_hidden() -> None:
    user = {"id": "u", "username": URL, "full_name": URL}
    upload = {**an_upload(URL), "project": {"id": "p", "name": URL}, "content_type": URL}
    upload["audit"] = {**upload["audit"], "created_by": user}
    reading = parse_upload_reading(upload, read_on=NOW)
    assert reading.upload.name == "https://(hidden)@storage.test/x?(hidden)"
    assert SECRET not in repr(reading)
    assert parse_summaries(json.dumps({"results": [upload]}).encode(), NOW) is None
    projects = parse_project_page({"results": [{"id": "p", "name": URL}]}, {}, page=1, per_page=1)
    assert SECRET not in repr(projects)


@pytest.mark.parametrize("gap", ["", "\u200b", "\x1b[0m"], ids=ascii)
def test_a_url_in_a_name_is_hidden_also_if_something_invisible_is_in_it(gap: str) -> None:
    name = URL.replace("//", f"{gap}/{gap}/")
    reading = source_reading(upload_line(name=name), None, read_on=NOW, default_project="p")
    assert SECRET not in repr(reading)


@pytest.mark.parametrize("name", ["token=1.txt", "password: x.doc", "a?b=c", "C:/x/secret=1", "Bearer of bad news.mp4"])
def test_a_name_without_a_url_is_shown_as_it_is(name: str) -> None:
    assert source_reading(upload_line(name=name), None, read_on=NOW, default_project="p").upload.name == name
    assert parse_upload_reading(an_upload(name), read_on=NOW).upload.name == name


def test_an_id_is_shown_as_it_is() -> None:
    assert source_reading(upload_line(id=URL), None, read_on=NOW, default_project="p").upload.id == URL

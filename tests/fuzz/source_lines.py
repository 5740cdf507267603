"""A line of a source is read without an exception, and what is stored of it reads the same again."""

import json
from contextlib import suppress

from upload_tui.errors import InvalidResponseError
from upload_tui.sources import UploadLine, parse_line, parse_raw, parse_source_upload, source_reading
from upload_tui.testing import NOW

__all__ = ["assert_line_is_stable"]


def assert_line_is_stable(line: bytes) -> None:
    """Parse a line, store it, and parse what was stored; the upload of the line is its own predecessor without a change."""
    found = parse_line(line)
    if not isinstance(found, UploadLine):
        return
    upload = parse_source_upload(found.fields, read_on=NOW, default_project="default")
    assert upload.id == found.id
    with suppress(InvalidResponseError):  # nested too deeply
        reading = source_reading(found, None, read_on=NOW, default_project="default")
        stored = json.loads(reading.raw)
        assert parse_raw(stored, read_on=NOW) == reading.upload
        again = source_reading(found, reading.upload, read_on=NOW, default_project="default")
        assert again.raw == reading.raw
        assert parse_raw(json.loads(again.raw), read_on=NOW) == again.upload == reading.upload

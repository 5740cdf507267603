"""Lines of a source for tests, and strategies that make them."""

import json
from typing import Any

from hypothesis import strategies as st

from upload_tui.sources import UploadLine, parse_line

ON = "2026-03-14T08:00:00.000Z"
LATER = "2026-03-14T08:30:00.000Z"

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "type", "id", "name", "project", "size", "size_bytes", "stage", "on", "stage_since", "initiated_on", "completed_on",
    "verified_on", "error_on", "current", "prior", "error_message", "received_bytes", "chunks", "updated_on", "by", "url",
    "content_type", "ended", "timeline", "anomalies", "extra", "final_chunks",
)  # fmt: skip
PLAUSIBLE = st.sampled_from(
    [
        ON, LATER, "completed", "VERIFIED", "error", "initiated", "quarantined", "", 5, 0, True, "2999-01-01T00:00:00Z",
        {"state": "completed", "state_on": None}, [{"number": 1, "size": 5}], {"count": 2, "size_bytes": 7},
        [{"stage": "completed", "on": ON, "certainty": "reported"}], {"id": "p", "name": "P"},
        [{"name": "chunks_missing", "detail": "x"}],
    ]
)  # fmt: skip


def objects() -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects with the fields of the contract, with plausible and absurd values."""
    return st.dictionaries(st.sampled_from(FIELDS), PLAUSIBLE | VALUES, max_size=8)


def line_of(**fields: Any) -> bytes:
    """A line with these fields, and an id and a name unless they are given."""
    return json.dumps({"id": "u1", "name": "scan.tiff", **fields}).encode()


def upload_line(**fields: Any) -> UploadLine:
    """The parsed line with these fields."""
    found = parse_line(line_of(**fields))
    assert isinstance(found, UploadLine)
    return found

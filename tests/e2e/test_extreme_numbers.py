"""Numbers and times at the ends of their ranges: every command reads, stores and prints them, and none fails."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.e2e.in_process import run_here
from tests.unit.cli.virtual_program import Project, VirtualService, restart_time, run_virtually
from upload_tui.errors import EXIT_INTERNAL_ERROR, EXIT_OK, EXIT_UNREACHABLE, EXIT_USAGE

pytestmark = pytest.mark.e2e

MAX = 2**63 - 1
NUMBERS = st.sampled_from([0, 1, 2**53, MAX - 1, MAX, MAX + 1, 2**70, -1, -MAX, 1e300, 1.0, 0.5]) | st.integers(0, MAX)
TIMES = st.sampled_from(
    [
        "0001-01-01T00:00:00Z", "0001-01-01T00:00:01Z", "1900-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2026-03-14T08:00:00Z",
        "2999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z", None,
    ]
)  # fmt: skip
CHUNKS = st.lists(st.fixed_dictionaries({"number": NUMBERS, "size": NUMBERS}), max_size=4)
STAGES = st.sampled_from(["initiated", "completed", "verified", "error", "odd"])
FLAT = {f"{stage}_on": TIMES for stage in ("initiated", "completed", "verified", "error")}
LINES = st.fixed_dictionaries(
    {},
    optional={
        "size": NUMBERS,
        "size_bytes": NUMBERS,
        "received_bytes": NUMBERS,
        "chunks": CHUNKS | st.fixed_dictionaries({"count": NUMBERS, "size_bytes": NUMBERS}),
        "final_chunks": st.just(True),
        "stage": STAGES,
        "on": TIMES,
        "updated_on": TIMES,
        **FLAT,
    },
)
RESOURCES = st.fixed_dictionaries(
    {
        "size": NUMBERS,
        "chunks": st.none() | CHUNKS,
        "status": st.one_of(
            st.fixed_dictionaries(FLAT),
            st.fixed_dictionaries({**FLAT, "is_consistent": st.sampled_from([None, True]), "purged_on": TIMES}),
            st.fixed_dictionaries({"current": st.fixed_dictionaries({"state": STAGES, "state_on": TIMES})}),
        ),
        "audit": st.none() | st.fixed_dictionaries({"created_on": TIMES, "last_updated_on": TIMES}),
    }
)
COMMANDS = (
    ["list", "-o", "jsonl"], ["list", "-o", "table", "--where", "size>1GB OR age>1d", "--sort", "progress"],
    ["report", "-o", "table"],
    ["report", "-o", "json"], ["show", "u0", "-o", "table"], ["wait", "u0", "--timeout", "0.1s"],
)  # fmt: skip
REFUSED = {EXIT_USAGE, EXIT_INTERNAL_ERROR}


FIRST, LAST = "1900-01-01T00:00:00Z", "2999-12-31T23:59:59.999Z"
LONGEST: list[dict[str, Any]] = [
    {"completed_on": LAST, "initiated_on": FIRST},
    *[{"initiated_on": FIRST, "completed_on": FIRST, "verified_on": LAST}] * 40,
    {"completed_on": FIRST, "initiated_on": FIRST},
]
"""Uploads that make the longest durations usual, and some that wait."""
TOO_LARGE = {"chunks": [{"number": 1, "size": MAX}, {"number": 2, "size": 1}]}


@given(st.lists(LINES, min_size=1, max_size=30))
@example([TOO_LARGE])
@example(LONGEST)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_number_of_a_source_breaks_a_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], uploads: list[dict[str, Any]]
) -> None:
    listing = tmp_path / "lines"
    listing.write_text("".join(json.dumps({"id": f"u{n}", "name": "n", **one}) + "\n" for n, one in enumerate(uploads)))
    words = [sys.executable, "-I", "-c", "print(open(__import__('sys').argv[1]).read(), end='')", str(listing)]
    for command in COMMANDS:
        result = run_here(capfd, *command, "--command", shlex.join(words))
        assert result.code not in REFUSED, (command, result)
    result = run_here(capfd, "source", "check", "--", *words)
    assert result.code in {EXIT_OK, EXIT_UNREACHABLE}, result


@given(st.lists(RESOURCES, min_size=1, max_size=30))
@example([{"status": {"initiated_on": FIRST}, **TOO_LARGE}])
@example([{"status": one} for one in LONGEST])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_number_of_a_service_breaks_a_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], uploads: list[dict[str, Any]]
) -> None:
    restart_time()
    service = VirtualService(
        [Project("p", "P", [{"id": f"u{n}", "name": "n", **one} for n, one in enumerate(uploads)])]
    )
    for command in COMMANDS:
        result = run_virtually(capfd, tmp_path, service, *command)
        assert result.code not in REFUSED, (command, result)

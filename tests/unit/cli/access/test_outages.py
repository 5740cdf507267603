"""What commands without a screen say of a connection: each cause once, and its end."""

from collections.abc import Sequence

import pytest

from upload_tui.cli.access.outages import ConnectionReporter
from upload_tui.monitor import Connection, ConnectionState, ProjectRef
from upload_tui.testing import NOW, InMemorySession

GENOME = ProjectRef("p-1", "Genome")
LIVE, SLOW = ConnectionState.LIVE, ConnectionState.SLOW
RETRYING, OFFLINE = ConnectionState.RETRYING, ConnectionState.OFFLINE
CONNECTING, CATCHING_UP, DELETED = ConnectionState.CONNECTING, ConnectionState.CATCHING_UP, ConnectionState.DELETED

State = tuple[ConnectionState, str]


@pytest.mark.parametrize(
    ("states", "lines"),
    [
        ([(CONNECTING, ""), (CATCHING_UP, ""), (LIVE, "")], []),
        ([(RETRYING, "refused"), (RETRYING, "refused"), (OFFLINE, "refused")], ["retrying: refused. Wait."]),
        ([(RETRYING, "refused"), (CATCHING_UP, "")], ["retrying: refused. Wait."]),
        ([(RETRYING, "no lines for 5s"), (OFFLINE, "no lines for 15s")], ["retrying: no lines for 5s. Wait."]),
        (
            [(RETRYING, "refused"), (OFFLINE, "timed out"), (OFFLINE, "refused"), (LIVE, "")],
            ["retrying: refused. Wait.", "offline: timed out. Wait.", "live again."],
        ),
        (
            [(RETRYING, "refused"), (SLOW, ""), (RETRYING, "refused"), (LIVE, ""), (LIVE, "")],
            ["retrying: refused. Wait.", "live again.", "retrying: refused. Wait.", "live again."],
        ),
        ([(LIVE, "1 is unreadable"), (SLOW, "2 is unreadable"), (LIVE, "")], ["1 is unreadable.", "live again."]),
        (
            [(RETRYING, "refused"), (LIVE, "1 is unreadable"), (RETRYING, "refused"), (LIVE, "1 is unreadable")],
            ["retrying: refused. Wait.", "live again.", "1 is unreadable.", "retrying: refused. Wait.", "live again."],
        ),
        ([(RETRYING, "not found"), (DELETED, "gone")], ["retrying: not found. Wait.", "deleted: gone. Wait."]),
    ],
)
@pytest.mark.parametrize("service", ["", "ceph"])
@pytest.mark.parametrize("project", [None, GENOME])
def test_each_cause_is_one_line_until_its_end(
    capsys: pytest.CaptureFixture[str],
    states: Sequence[State],
    lines: Sequence[str],
    service: str,
    project: ProjectRef | None,
) -> None:
    reporter = ConnectionReporter(InMemorySession(), service=service)
    for state, reason in states:
        hint = "Wait" if state not in {LIVE, SLOW} and reason else ""
        reporter.report(project, Connection(state=state, since=NOW, reason=reason, hint=hint))
    prefix = f"upload-tui: {service}: " if service else "upload-tui: "
    assert capsys.readouterr().err.splitlines() == [prefix + line for line in lines]


def test_a_service_that_failed_before_its_projects_were_known_is_live_with_the_first_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reporter = ConnectionReporter(InMemorySession())
    reporter.report(None, Connection(state=OFFLINE, since=NOW, reason="refused", hint="Start it?"))
    reporter.report(GENOME, Connection(state=CATCHING_UP, since=NOW))
    reporter.report(GENOME, Connection(state=LIVE, since=NOW))
    lines = ["upload-tui: offline: refused. Start it?", "upload-tui: live again."]
    assert capsys.readouterr().err.splitlines() == lines

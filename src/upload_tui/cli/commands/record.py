"""`upload-tui record`: writes every change and the outcome of every request to a recording."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from upload_tui.cli.access.access import open_access
from upload_tui.cli.access.outages import ConnectionReporter, lost_error, retrying
from upload_tui.cli.access.service import run_alongside
from upload_tui.cli.support.options import FilePath, effective_settings, service_options
from upload_tui.cli.support.output import command_text, echo_message
from upload_tui.cli.support.signals import run_async
from upload_tui.errors import EXIT_OK, ServiceError
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.text import plural

if TYPE_CHECKING:
    from upload_tui.monitor import RecordingWriter, ServiceSession

__all__ = ["command"]


@click.command(help="Record every change in FILE, as JSON lines, until interrupted.")
@click.argument("file", type=FilePath())
@click.option(
    "--mask",
    type=click.Choice(["names"]),
    help="Replace names, ids, people, paths and messages, always in the same way, so that FILE can be shared.",
)
@service_options
def command(file: Path, mask: str | None, *, flags: Flags) -> int:
    """Record until interrupted."""
    run_async(_record(effective_settings(flags), file, is_masked=mask is not None))
    return EXIT_OK


async def _record(settings: ServiceSettings, file: Path, *, is_masked: bool) -> None:
    """Run a session until interrupted, and write what it reads and publishes."""
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import ChangeBroadcaster, RecordingHeader, RecordingMask, RecordingStore, RecordingWriter

    async with open_access(settings) as access:
        found = await retrying(access.find_projects)
        now, limit = SystemClock().now(), settings.stuck_after_seconds
        header = RecordingHeader(now, access.service, access.title, tuple(found.projects), limit)
        with RecordingWriter(file, header, RecordingMask() if is_masked else None) as recording:
            store = RecordingStore(recording)
            access.request_listeners.append(recording.write_request)
            changes = ChangeBroadcaster(recording.write_change)
            session = access.session(store, found, changes=changes, ends_on_refusal=True)
            echo_message(f"recording to {file}; press Ctrl+C to stop.")
            try:
                await run_alongside(session, _report(session))
            except ServiceError:
                if not session.projects:  # nothing was listed; the file would stop the next try
                    recording.discard()
                raise
            finally:
                store.close()
                _report_end(recording, file)


def _report_end(recording: "RecordingWriter", file: Path) -> None:
    if not recording.is_discarded:
        lines = plural(recording.line_count, "line")
        echo_message(f"wrote {lines} to {file}; `{command_text(['replay'], [str(file)])}` plays them.")


async def _report(session: "ServiceSession") -> None:
    """Report what cannot be read, which the recording therefore lacks.

    Raises:
        NotFoundError: the service no longer has any of the projects.
    """
    from upload_tui.monitor import ConnectionChanged

    with session.changes.subscribe() as changes:
        reporter = ConnectionReporter(session, notice=session.notice)
        async for change in changes:
            if session.lost_projects and len(session.lost_projects) == len(session.projects):
                raise lost_error(session.lost_projects)
            if isinstance(change, ConnectionChanged):
                reporter.report(change.project, change.connection)

"""`upload-tui show`: everything known about single uploads."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

import click

from upload_tui.cli.access.access import open_access
from upload_tui.cli.access.readings import FetchedUploads
from upload_tui.cli.exit_codes import exit_code
from upload_tui.cli.support.options import effective_settings, service_options
from upload_tui.cli.support.output import Printer, Record, echo_message, output_option
from upload_tui.cli.support.signals import run_async
from upload_tui.cli.support.streams import continues_without_output
from upload_tui.cli.support.tables import local_time, trouble_text
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import ENDED_STATE, Certainty, Stage

__all__ = ["command", "time_text", "upload_lines"]

_PATHS = ("chunk_list", "hashes", "raw", "raw.*")
"""What it prints in addition to `list`."""


@click.command(help="Show uploads: timeline, durations, chunks, hashes, anomalies.")
@click.argument("upload_ids", nargs=-1, required=True, metavar="ID...")
@service_options
@output_option
@continues_without_output
def command(upload_ids: Sequence[str], output: str | None, *, flags: Flags) -> int:
    """Show uploads."""
    from upload_tui.monitor import UPLOAD_FIELDS, UPLOAD_PATHS, flat_upload, full_upload_record

    settings = effective_settings(flags)
    printer = Printer(output, (), flat_upload, paths=(*UPLOAD_FIELDS, *UPLOAD_PATHS, *_PATHS))
    found = run_async(_fetch(settings, upload_ids))
    records = [full_upload_record(detail, json.loads(detail.raw)) for detail in found.details]
    if printer.is_table:
        click.echo("\n\n".join("\n".join(upload_lines(record, settings.zone)) for record in records))
    else:
        printer.print_records(records)
    for upload_id, error in found.errors.items():
        echo_message(f"{upload_id!a}: {error.title}.")
    return exit_code(error=next(iter(found.errors.values()), None)) or found.service_exit_code


async def _fetch(settings: ServiceSettings, upload_ids: Sequence[str]) -> FetchedUploads:
    async with open_access(settings) as access:
        return await access.fetch(upload_ids)


def upload_lines(record: Record, zone: tzinfo | None) -> Iterator[str]:
    """Yield the lines of one upload for people, complete and untruncated."""
    from upload_tui.text import sanitize, size_text

    def line(label: str, text: str) -> str:
        return f"{label:<11} {sanitize(text)}".rstrip()

    project = record["project"]
    yield sanitize(record["name"])
    yield line("id", record["id"])
    yield line("project", f"{project['name']} ({project['id']})")
    yield line("service", record["service"])
    size = record["size_bytes"]
    yield line("size", "unknown" if size is None else f"{size_text(size)} ({size} bytes)")
    if received := _received_text(record):
        yield line("received", received)
    yield line("type", record["content_type"] or "unknown")
    yield line("stage", _stage_text(record))
    yield from (line(event["stage"], text) for event, text in _timeline(record, zone))
    if record["purged"]:
        yield line("purged", local_time(record["purged_on"], zone))
    if record["error_message"]:
        yield line("error", record["error_message"])
    yield from (line("hash", f"{known['algorithm']} {known['value']}") for known in record["hashes"])
    for chunk in record["chunk_list"] or ():
        digest = f"{chunk['algorithm'] or ''} {chunk['digest'] or ''}".strip()
        yield line(f"chunk {chunk['number']}", f"{size_text(chunk['size_bytes'])}  {digest}")
    for anomaly in record["anomalies"]:
        yield line("anomaly", f"{anomaly['name'].replace('_', ' ')}: {anomaly['detail']}")


def _received_text(record: Record) -> str:
    """What is known of chunks that are not listed; empty if nothing is, or all are listed."""
    from upload_tui.text import plural, size_text

    chunks = None if record["chunk_list"] is not None else record["chunks"]
    if chunks is None:
        return ""
    count, size = chunks["count"], chunks["size_bytes"]
    parts = [
        "" if size is None else f"{size_text(size)} ({size} bytes)",
        "" if count is None else plural(count, "chunk"),
    ]
    return " in ".join(filter(None, parts))


def _stage_text(record: Record) -> str:
    """The stage, and what is wrong with it; a word that contains the stage replaces it."""
    stage, trouble = record["stage"], trouble_text(record)
    return trouble if trouble.startswith(stage) else ", ".join(part for part in (stage, trouble) if part)


def _timeline(record: Record, zone: tzinfo | None) -> Iterator[tuple[Record, str]]:
    """Yield each event of the timeline with its time, its certainty and the duration since the event before; then an own state."""
    from upload_tui.text import duration_text

    before: datetime | None = None
    for event in record["timeline"]:
        text = time_text(event, zone)
        if event["on"] is not None:
            on = datetime.fromisoformat(event["on"])
            text += "" if before is None else f"  +{duration_text((on - before).total_seconds())}"
            before = on
        yield event, text
    state, since = record["stage"], record["stage_since"]
    if since is not None and state not in {*map(str, Stage), ENDED_STATE}:  # the time of an end is not known
        is_observed = record["stage_since_certainty"] == Certainty.OBSERVED
        bounds = {"on": None, "latest": since} if is_observed else {"on": since, "latest": None}
        event = {"stage": state, "certainty": Certainty.REPORTED, "earliest": None, **bounds}
        yield event, time_text(event, zone)


def time_text(event: Record, zone: tzinfo | None) -> str:
    """The time of an event: `~` marks an estimate, whose bounds follow; without a time, the bounds alone; `?` if nothing is known."""
    earliest, latest = event["earliest"], event["latest"]
    if event["on"] is None and earliest is not None and latest is not None:
        return f"between {local_time(earliest, zone)} and {local_time(latest, zone)}"
    bounds = " and ".join(
        f"{word} {local_time(on, zone)}" for word, on in (("after", earliest), ("before", latest)) if on is not None
    )
    if event["on"] is None:
        return bounds or "?"
    text = local_time(event["on"], zone)
    if event["certainty"] == "reported":
        return text
    return f"~{text} ({bounds})" if bounds else f"~{text}"

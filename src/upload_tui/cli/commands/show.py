"""`upload-tui show`: everything known about single uploads."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

import click

from upload_tui.cli.access.readings import open_snapshot
from upload_tui.cli.access.service import client_for, trouble_limits
from upload_tui.cli.exit_codes import exit_code
from upload_tui.cli.support.error_reporting import run_async
from upload_tui.cli.support.options import effective_settings, service_options
from upload_tui.cli.support.output import Printer, Record, echo_message, output_option
from upload_tui.cli.support.tables import local_time, trouble_text
from upload_tui.errors import (
    EXIT_OK,
    InvalidResponseError,
    NotConsistentError,
    NotFoundError,
    ServerError,
    ServiceError,
    SourceError,
)
from upload_tui.settings import Flags, ServiceSettings

if TYPE_CHECKING:
    from upload_tui.client import ServiceClient
    from upload_tui.wire import UploadReading

__all__ = ["command", "time_text"]

_PATHS = ("chunk_list", "hashes", "raw", "raw.*")
"""What it prints in addition to `list`."""


@click.command(help="Show uploads: timeline, durations, chunks, hashes, anomalies.")
@click.argument("upload_ids", nargs=-1, required=True, metavar="ID...")
@service_options
@output_option
def command(upload_ids: Sequence[str], output: str | None, *, flags: Flags) -> int:
    """Show uploads."""
    from upload_tui.monitor import UPLOAD_FIELDS, UPLOAD_PATHS, flat_upload

    settings = effective_settings(flags)
    printer = Printer(output, (), flat_upload, paths=(*UPLOAD_FIELDS, *UPLOAD_PATHS, *_PATHS))
    records, errors, code = run_async(_records(settings, upload_ids))
    if printer.is_table:
        click.echo("\n\n".join("\n".join(_upload_lines(record, settings.zone)) for record in records))
    else:
        printer.print_records(records)
    for upload_id, error in errors.items():
        echo_message(f"{upload_id!a}: {error.title}.")
    return exit_code(error=next(iter(errors.values()), None)) or code


async def _records(
    settings: ServiceSettings, upload_ids: Sequence[str]
) -> tuple[Sequence[Record], Mapping[str, ServiceError], int]:
    """The uploads that can be read, the errors of the others by id, and the exit code if there are none."""
    if settings.command:
        return await _listed_records(settings, upload_ids)
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import Store, StorePicture, full_upload_record, ingest

    store = Store()
    try:
        async with client_for(settings) as client:
            readings, errors = await _readings(client, upload_ids)
            ingest(store, readings, client.root)
            picture = StorePicture(
                store, client.clock_offset.shifted(SystemClock()), client.root, trouble_limits(settings)
            )
            ids = dict.fromkeys(reading.upload.id for reading in readings)
            if notice := client.clock_offset.notice:
                echo_message(f"{notice}.")
            found = [detail for upload_id in ids if (detail := picture.detail(upload_id)) is not None]
            return [full_upload_record(detail, json.loads(detail.raw)) for detail in found], errors, EXIT_OK
    finally:
        store.close()


async def _listed_records(
    settings: ServiceSettings, upload_ids: Sequence[str]
) -> tuple[Sequence[Record], Mapping[str, ServiceError], int]:
    """The uploads that a source lists. One that is missing may be in a part that could not be read."""
    from upload_tui.monitor import full_upload_record

    records: list[Record] = []
    errors: dict[str, ServiceError] = {}
    place = f" in {', '.join(settings.projects)}" if settings.projects else ""
    async with open_snapshot(settings) as snapshot:
        for upload_id in dict.fromkeys(upload_ids):
            detail = snapshot.picture.detail(upload_id)
            if detail is not None and not detail.row.is_gone:
                records.append(full_upload_record(detail, json.loads(detail.raw)))
            elif all(reading.is_complete for reading in snapshot.readings if reading.is_shown):
                errors[upload_id] = NotFoundError(f"the source does not list it{place}")
            else:
                errors[upload_id] = SourceError("not in what could be read of the listing")
        return records, errors, snapshot.service_exit_code


async def _readings(
    client: "ServiceClient", upload_ids: Sequence[str]
) -> tuple[Sequence["UploadReading"], Mapping[str, ServiceError]]:
    """Fetch uploads one by one; return those that can be read, and the errors of the others by id.

    Raises:
        ServiceError: no upload can be read.
    """
    readings: list[UploadReading] = []
    errors: dict[str, ServiceError] = {}
    for upload_id in dict.fromkeys(upload_ids):
        try:
            readings.append(await client.upload(upload_id))
        except (InvalidResponseError, ServerError, NotFoundError, NotConsistentError) as error:
            errors[upload_id] = error
    if not readings and errors:
        raise next(iter(errors.values()))
    return readings, errors


def _upload_lines(record: Record, zone: tzinfo | None) -> Iterator[str]:
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
    """Yield each event of the timeline with its time, its certainty and the duration since the event before."""
    from upload_tui.text import duration_text

    before: datetime | None = None
    for event in record["timeline"]:
        text = time_text(event, zone)
        if event["on"] is not None:
            on = datetime.fromisoformat(event["on"])
            text += "" if before is None else f"  +{duration_text((on - before).total_seconds())}"
            before = on
        yield event, text


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

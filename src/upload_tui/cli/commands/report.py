"""`upload-tui report`: statistics of projects, changes since the last report, metrics for Prometheus."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct, to_builtins
from msgspec.structs import asdict, replace

from upload_tui.cli.access.access import read_uploads
from upload_tui.cli.access.readings import ProjectResult, ProjectUploads
from upload_tui.cli.access.service import service_of
from upload_tui.cli.support.options import Since, effective_settings, parse_since, service_options, where_option
from upload_tui.cli.support.output import Printer, echo_message, output_option
from upload_tui.cli.support.signals import run_async
from upload_tui.cli.support.streams import continues_without_output, is_output_written
from upload_tui.cli.support.tables import local_time
from upload_tui.cli.support.visits import last_visit_file, visit_key
from upload_tui.errors import StorageError, UsageError
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import Stage

if TYPE_CHECKING:
    from upload_tui.monitor import Detail, LastVisit, ProjectRef, Where

__all__ = ["command"]

_LAST = "last"
_MAX_SHOWN = 20
"""Ids, causes and unknown states in the text; JSON has all."""
_PATHS = (
    *map(str, Stage), "unknown", "service", "projects", "as_of", "where", "total", "stages", "stages.*", "unknown_states",
    "unknown_states.*", "latencies", "*_seconds", "overdue", "stuck", "trouble", "trouble.*", "causes", "changes", "changes.*",
)  # fmt: skip
"""The names for `--fields`."""


class _ReportedUploads(Struct, frozen=True):
    """The uploads of some projects at one moment."""

    service: str
    uploads: ProjectUploads
    details: "Sequence[Detail]"
    as_of: datetime
    now: datetime

    def by_project(self) -> "Iterator[tuple[ProjectRef, Sequence[Detail]]]":
        """Each project that is shown, with its uploads."""
        for project in (reading.project for reading in self.uploads.readings if reading.is_shown):
            yield project, [detail for detail in self.details if detail.upload.project_id == project.id]


def _parse_since(text: str) -> str | Since:
    return _LAST if text == _LAST else parse_since(text)


@click.command(help="Print statistics: uploads by stage, latencies, uploads in trouble, failures by cause.")
@service_options
@click.option(
    "--since",
    type=_parse_since,
    metavar="last|TIME",
    help="Add changes since then; `last` means the last report with `--since last`.",
)
@where_option
@click.option("--prometheus", is_flag=True, help="Print metrics in the Prometheus text format.")
@click.option("--fail-on-error", is_flag=True, help="Exit with 1 if any upload is in error, or verified but not whole.")
@output_option
@continues_without_output
def command(
    since: str | Since | None,
    where: "Where",
    prometheus: bool,
    fail_on_error: bool,
    output: str | None,
    *,
    flags: Flags,
) -> int:
    """Print a report."""
    if prometheus and output:
        raise UsageError("Both --prometheus and --output are given", "Metrics have one format: leave out --output")
    settings = effective_settings(flags)
    printer = Printer(output, (), _csv_row, paths=_PATHS)
    reported = run_async(_read(settings, where, accepts_cached=not fail_on_error))
    record = _record(reported, _changes_since(settings, reported, since), where.text)
    if prometheus:
        click.echo(_metrics_text(reported), nl=False)
    elif printer.is_table:
        click.echo("\n".join(_report_lines(record, settings.zone)))
    else:
        printer.print_records([record])
    uploads = reported.uploads
    code = uploads.print_verdict(settings, reported.details) if fail_on_error else uploads.service_exit_code
    if since == _LAST and is_output_written():
        _save_report(settings, reported, code)
    return code


async def _read(settings: ServiceSettings, where: "Where", *, accepts_cached: bool) -> _ReportedUploads:
    from upload_tui.monitor import Query

    async with read_uploads(settings, accepts_cached=accepts_cached) as uploads:
        details = list(uploads.details(Query(where=where, project_ids=uploads.project_ids)))
        as_of, now = uploads.picture.as_of(), uploads.picture.clock.now()
        service = settings.url or service_of(settings)
        return _ReportedUploads(service, uploads, details, as_of, now)


def _report_file(settings: ServiceSettings, project: "ProjectRef") -> Path:
    """The file of the last report on one project, whichever other projects were in it."""
    return last_visit_file(replace(visit_key([settings]), projects=(project.id,)), "report")


def _changes_since(
    settings: ServiceSettings, reported: _ReportedUploads, since: str | Since | None
) -> Mapping[str, Any] | None:
    """Summarise the changes since a time, or since the last report on each project; None without `--since`."""
    from upload_tui.monitor import LastVisit, read_last_visit, uploads_since
    from upload_tui.wire import format_time

    if since is None:
        return None
    if isinstance(since, Since):
        summary = uploads_since(reported.details, LastVisit(since.at(reported.now)))
        return {**asdict(summary), "since": format_time(summary.since)}
    first, times, changes = LastVisit(datetime.fromtimestamp(0, UTC), stages={}), list[datetime](), dict[str, Any]()
    visits = {project.id: read_last_visit(_report_file(settings, project)) for project, _ in reported.by_project()}
    for project, details in reported.by_project():
        times.extend([last.on] if (last := visits[project.id]) else [])
        visit = _with_moved(last or first, [*filter(None, visits.values())])
        for key, ids in asdict(uploads_since(details, visit)).items():
            changes[key] = [*changes.get(key, ()), *ids] if isinstance(ids, list) else None
    return {**changes, "since": format_time(min(times)) if times else None}


def _with_moved(last: "LastVisit", visits: "Sequence[LastVisit]") -> "LastVisit":
    """The last visit to one project, with what those to others knew: an upload that has moved since is not new."""
    if last.stages is None:
        return last
    known = {upload_id: stage for visit in visits for upload_id, stage in (visit.stages or {}).items()}
    overdue_ids = last.overdue_ids.union(*(visit.overdue_ids for visit in visits))
    return replace(last, overdue_ids=overdue_ids, stages={**known, **last.stages})


def _save_report(settings: ServiceSettings, reported: _ReportedUploads, code: int) -> None:
    """Record what this report has shown, after it was written: otherwise what is new would be lost with the output.

    Raises:
        StorageError: it cannot be recorded, and nothing else decides on the exit code.
    """
    try:
        _save_visits(settings, reported)
    except StorageError as error:
        if not code:
            raise
        echo_message(f"{error.title}. {error.hint}")


def _save_visits(settings: ServiceSettings, reported: _ReportedUploads) -> None:
    from upload_tui.monitor import read_last_visit, save_last_visit, visit_of_uploads

    projects = {detail.upload.id: detail.upload.project_id for detail in reported.details}
    for project, details in reported.by_project():
        file = _report_file(settings, project)
        visit = visit_of_uploads(details, reported.as_of, read_last_visit(file))
        # Those that have moved are in the files of their new projects.
        moved = {upload_id for upload_id, home in projects.items() if home != project.id}
        stages = {upload_id: stage for upload_id, stage in (visit.stages or {}).items() if upload_id not in moved}
        save_last_visit(file, replace(visit, stages=stages, overdue_ids=visit.overdue_ids - moved))


def _record(reported: _ReportedUploads, changes: Mapping[str, Any] | None, where: str) -> Mapping[str, Any]:
    from upload_tui.monitor import statistics_of
    from upload_tui.wire import format_time

    figures = statistics_of(reported.details)
    return {
        "service": reported.service,
        "projects": [_project_record(reading) for reading in reported.uploads.readings],
        "as_of": format_time(reported.as_of),
        "where": where,
        "total": figures.total,
        "stages": dict(figures.counts),
        "unknown_states": dict(figures.unknown_states),
        "latencies": to_builtins(figures.latencies),
        "overdue": list(figures.overdue_ids),
        "stuck": list(figures.stuck_ids),
        "trouble": {trouble: list(ids) for trouble, ids in figures.trouble_ids.items()},
        "causes": [asdict(cause) for cause in figures.causes],
        "changes": changes,
    }


def _project_record(reading: ProjectResult) -> Mapping[str, Any]:
    """A project that was asked for; `error` says why it was not read, None if it was."""
    error = reading.error.title if reading.error else None
    return {"id": reading.project.id, "name": reading.project.name, "error": error}


def _metrics_text(reported: _ReportedUploads) -> str:
    """Metrics in the text format of Prometheus, as `metrics` serves them."""
    from upload_tui.monitor import ServiceFigures, figures_of_uploads, write_metrics

    is_up = all(reading.error is None for reading in reported.uploads.readings)
    projects = [
        figures_of_uploads(details, reported.service, project, reported.now, reported.as_of)
        for project, details in reported.by_project()
    ]
    return write_metrics([ServiceFigures(reported.service, is_up)], projects).body.decode()


def _csv_row(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Flatten the statistics to one row of CSV."""
    latencies = {
        f"{latency['after']}_to_{latency['before']}_{share}_seconds": latency[f"{share}_seconds"]
        for latency in record["latencies"]
        for share in ("p50", "p95", "p99")
    }
    counts = {key: len(record[key]) for key in ("overdue", "stuck")}
    plain = {key: record[key] for key in ("service", "as_of", "total")}
    unknown = {"unknown": sum(record["unknown_states"].values())}
    return {**plain, **record["stages"], **counts, **latencies, **unknown}


def _report_lines(record: Mapping[str, Any], zone: tzinfo | None) -> Iterator[str]:
    from upload_tui.monitor import TROUBLE_WORDS
    from upload_tui.text import cause_with_short, duration_text, names_text, plural, sanitize

    names = ", ".join(project["name"] or project["id"] for project in record["projects"])
    matching = f" that match {record['where']}" if record["where"] else ""
    yield sanitize(
        f"{plural(record['total'], 'upload')} of {names}{matching}, as of {local_time(record['as_of'], zone)}"
    )
    states = {**record["stages"], **record["unknown_states"]}
    for state, count in [*states.items()][:_MAX_SHOWN]:
        yield f"  {sanitize(state):<10} {count:>8,}"
    if len(states) > _MAX_SHOWN:
        yield f"  and {plural(len(states) - _MAX_SHOWN, 'more state')}"
    for latency in record["latencies"]:
        times = "  ".join(f"{share} {duration_text(latency[f'{share}_seconds'])}" for share in ("p50", "p95", "p99"))
        yield f"{latency['after']} to {latency['before']}: {times}  ({plural(latency['samples'], 'sample')})"
    for trouble, ids in record["trouble"].items():
        if ids:
            yield f"{TROUBLE_WORDS[trouble]} ({len(ids):,}): {sanitize(names_text(ids, _MAX_SHOWN, ' '))}"
    for cause in record["causes"][:_MAX_SHOWN]:
        yield sanitize(f"cause ({cause['count']:,}): {cause_with_short(cause['cause'])}")
    if len(record["causes"]) > _MAX_SHOWN:
        yield f"and {plural(len(record['causes']) - _MAX_SHOWN, 'more cause')}"
    if record["changes"] is not None:
        yield from _since_lines(record["changes"], zone)


def _since_lines(changes: Mapping[str, Any], zone: tzinfo | None) -> Iterator[str]:
    yield (
        f"since {local_time(changes['since'], zone)}:"
        if changes["since"]
        else "first report; everything counts as new:"
    )
    for key in ("new", "verified", "failed", "newly_overdue"):
        yield f"  {key.replace('_', ' '):<14} {len(changes[key]):>6,}"

"""`upload-tui list`: one line per upload."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct
from msgspec.structs import replace

from upload_tui.cli.access.access import read_uploads
from upload_tui.cli.access.readings import ProjectUploads, decides_on_verdict
from upload_tui.cli.support.options import COUNT, Since, effective_settings, parse_since, service_options, where_option
from upload_tui.cli.support.output import Printer, echo_message, output_option
from upload_tui.cli.support.signals import run_async
from upload_tui.cli.support.streams import continues_without_output
from upload_tui.cli.support.tables import upload_columns
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import Stage
from upload_tui.text import fold, plural

if TYPE_CHECKING:
    from upload_tui.monitor import Detail, Expression, Query, Where

__all__ = ["command"]

_BATCH_UPLOADS = 500
_SORT_KEYS = ("initiated", "stage", "since", "name", "size", "project", "took", "chunks", "progress", "id")


class _Criteria(Struct, frozen=True):
    """Which uploads to list, and in what order."""

    stages: frozenset[Stage]
    sort: str
    since: datetime | None
    search: str
    where: "Where"
    trouble_only: bool
    limit: int | None


@click.command(help="List uploads, one per line; offline, those in the cache.")
@service_options
@click.option(
    "--stage", "stages", multiple=True, type=click.Choice([*map(str, Stage)]), help="Only this stage; may be repeated."
)
@click.option("--sort", default="initiated", show_default=True, type=click.Choice(_SORT_KEYS), help="Sort key.")
@click.option("--reverse", is_flag=True, help="Reverse the order.")
@click.option("--since", type=parse_since, metavar="TIME", help="Only uploads initiated since then: 2h, 3d, or a time.")
@click.option(
    "--search",
    default="",
    metavar="TEXT",
    help="Only uploads whose name, id or error message contains this, or whose stage begins with it (four letters or more).",
)
@where_option
@click.option(
    "--stuck",
    "trouble_only",
    is_flag=True,
    help="Only uploads in trouble (`is:trouble`): verified but not whole, stuck, failed or overdue; `is:stuck` has the stuck alone.",
)
@click.option("--limit", type=COUNT, help="Maximum number.")
@click.option(
    "--fail-on-error", is_flag=True, help="Exit with 1 if any listed upload is in error, or verified but not whole."
)
@output_option
@continues_without_output
def command(
    stages: tuple[str, ...],
    sort: str,
    reverse: bool,
    since: Since | None,
    search: str,
    where: "Where",
    trouble_only: bool,
    limit: int | None,
    fail_on_error: bool,
    output: str | None,
    *,
    flags: Flags,
) -> int:
    """List uploads."""
    criteria = _Criteria(frozenset(map(Stage, stages)), sort, None, search, where, trouble_only, limit)
    settings = effective_settings(flags)
    from upload_tui.monitor import UPLOAD_FIELDS, UPLOAD_PATHS, flat_upload

    printer = Printer(output, (), flat_upload, UPLOAD_FIELDS, UPLOAD_PATHS)
    return run_async(_list(settings, criteria, since, printer, reverse=reverse, fail_on_error=fail_on_error))


async def _list(
    settings: ServiceSettings,
    criteria: _Criteria,
    since: Since | None,
    printer: Printer,
    *,
    reverse: bool,
    fail_on_error: bool,
) -> int:
    """Print the matching uploads; return the exit code."""
    from upload_tui.monitor import upload_record

    async with read_uploads(settings, accepts_cached=not fail_on_error) as uploads:
        criteria = replace(criteria, since=since and since.at(uploads.picture.clock.now()))
        query = _query(uploads, criteria)
        if reverse:
            query = replace(query, descending=not query.descending)
        printer.set_columns(upload_columns(settings.zone, uploads.picture.clock.now))
        records: list[Mapping[str, Any]] = []
        decisive: list[Detail] = []
        found = islice(_found(uploads, query, criteria), criteria.limit)  # each upload has to be parsed
        while batch := list(islice(found, _BATCH_UPLOADS)):
            records += map(upload_record, batch)
            decisive += filter(decides_on_verdict, batch) if fail_on_error else ()
            if printer.is_stream:
                printer.print_records(records)
                records.clear()
            await asyncio.sleep(0)  # a signal ends it here
        printer.print_records(records)
        if criteria.since:
            undated = replace(query, where=replace(query.where, tree=_tree(criteria, *_undated(criteria.since))))
            if count := sum(1 for _ in _found(uploads, undated, criteria)):
                echo_message(f"{plural(count, 'upload')} left out: not known whether initiated since then.")
    return uploads.print_verdict(settings, decisive) if fail_on_error else uploads.service_exit_code


def _found(uploads: ProjectUploads, query: "Query", criteria: _Criteria) -> "Iterator[Detail]":
    return (one for one in uploads.details(query) if not criteria.trouble_only or one.row.trouble is not None)


def _query(uploads: ProjectUploads, criteria: _Criteria) -> "Query":
    """The query of the criteria: times and sizes in descending order, others in ascending order."""
    from upload_tui.monitor import Query, SortKey, TimeTerm, Where

    since = [TimeTerm(None, criteria.since)] if criteria.since else []
    return Query(
        stages=criteria.stages,
        where=Where(tree=_tree(criteria, *since)),
        trouble_only=criteria.trouble_only,
        project_ids=uploads.project_ids,
        sort=SortKey(criteria.sort),
        descending=criteria.sort in {"initiated", "since", "size", "took", "chunks"},
    )


def _tree(criteria: _Criteria, *times: "Expression") -> "Expression":
    """The query of `--where`, with `--search` and terms of time joined onto it."""
    from upload_tui.monitor import TextTerm, all_of

    search = [TextTerm("", (fold(criteria.search),))] if criteria.search else []
    return all_of(criteria.where.tree, *search, *times)


def _undated(on: datetime) -> "Sequence[Expression]":
    """The terms for uploads without any time: neither since a time nor until it."""
    from upload_tui.monitor import Not, TimeTerm

    return Not(TimeTerm(None, on)), Not(TimeTerm(None, on, is_until=True))

"""`upload-tui list`: uploads, a line each."""

import asyncio
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import click
from msgspec import Struct
from msgspec.structs import replace

from upload_tui.cli.connecting import service_options, settings_in_force
from upload_tui.cli.output import Printer, output_option
from upload_tui.cli.tables import flat_upload, upload_columns
from upload_tui.cli.times import moment
from upload_tui.errors import EXIT_DONE, EXIT_FAILED_UPLOAD
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import Stage

if TYPE_CHECKING:
    from upload_tui.cli.visits import Visit
    from upload_tui.monitor.picture import Detail, Query

__all__ = ["command"]

_SORTS = ("initiated", "stage", "since", "name", "size", "project")


class _Wanted(Struct, frozen=True):
    """Which uploads, and in what order."""

    stages: frozenset[Stage]
    sort: str
    since: datetime | None
    search: str
    stuck: bool
    limit: int | None


@click.command(help="List uploads, a line each; offline it lists what the last visit knew, and says so.")
@service_options
@click.option(
    "--stage", "stages", multiple=True, type=click.Choice([*map(str, Stage)]), help="Only this stage; may be repeated."
)
@click.option(
    "--sort", default="initiated", show_default=True, type=click.Choice(_SORTS), help="By what they are ordered."
)
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("--since", type=moment, help="Only uploads initiated since then: 2h, 3d, or a time.")
@click.option("--search", default="", metavar="TEXT", help="Only those with this in their name, id or error message.")
@click.option("--stuck", is_flag=True, help="Only pending uploads that look stuck.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@click.option("--fail-on-error", is_flag=True, help="Exit with 1 if any of them is in error.")
@output_option
def command(
    stages: tuple[str, ...],
    sort: str,
    reverse: bool,
    since: datetime | None,
    search: str,
    stuck: bool,
    limit: int | None,
    fail_on_error: bool,
    output: str | None,
    *,
    flags: Flags,
) -> int:
    """List."""
    wanted = _Wanted(frozenset(map(Stage, stages)), sort, since, search, stuck, limit)
    settings = settings_in_force(flags)
    details = asyncio.run(_details(settings, wanted, reverse=reverse))
    from upload_tui.monitor.records import upload_record

    Printer(output, upload_columns(settings.zone), flat_upload).print_all(map(upload_record, details))
    failed = any(detail.upload.stage is Stage.ERROR for detail in details)
    return EXIT_FAILED_UPLOAD if failed and fail_on_error else EXIT_DONE


async def _details(settings: ServiceSettings, wanted: _Wanted, *, reverse: bool) -> "list[Detail]":
    from upload_tui.cli.visits import visit

    async with visit(settings) as seen:
        query = _query(seen, wanted)
        if reverse:
            query = replace(query, descending=not query.descending)
        fitting = (detail for detail in seen.details(query) if _fits(detail, wanted))
        return list(islice(fitting, wanted.limit))


def _query(seen: "Visit", wanted: _Wanted) -> "Query":
    """Newest and largest first, names from A to Z."""
    from upload_tui.monitor.picture import Query, SortKey

    return Query(
        stages=wanted.stages,
        search=wanted.search,
        attention_only=wanted.stuck,
        project_ids=frozenset(project.id for project in seen.projects),
        sort=SortKey(wanted.sort),
        descending=wanted.sort in {"initiated", "since", "size"},
    )


def _fits(detail: "Detail", wanted: _Wanted) -> bool:
    row = detail.row
    if wanted.stuck and not row.judgement.is_stuck:
        return False
    return wanted.since is None or (row.initiated_on is not None and row.initiated_on >= wanted.since)

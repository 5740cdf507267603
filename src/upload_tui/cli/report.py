"""`upload-tui report`: the figures of projects; what is new since the last look; metrics for a collector of text files."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct
from msgspec.structs import asdict

from upload_tui.cli.connecting import service_options, settings_in_force
from upload_tui.cli.looks import look_file
from upload_tui.cli.output import Printer, output_option
from upload_tui.cli.tables import local_time
from upload_tui.cli.times import moment
from upload_tui.errors import EXIT_DONE, EXIT_FAILED_UPLOAD
from upload_tui.settings import Flags, ServiceSettings
from upload_tui.status import Stage

if TYPE_CHECKING:
    from upload_tui.monitor.picture import Detail, ProjectRef

__all__ = ["command"]

_LAST = "last"


class _Found(Struct, frozen=True):
    """What the visit found."""

    service: str
    projects: "Sequence[ProjectRef]"
    details: "Sequence[Detail]"
    as_of: datetime


def _since(text: str) -> str | datetime:
    return _LAST if text == _LAST else moment(text)


_since.__name__ = "last|time"


@click.command(help="Print figures: uploads by stage, latencies, the stuck, the failed grouped by cause.")
@service_options
@click.option(
    "--since", type=_since, help="Also what is new since then; `last` is the last report with `--since last`."
)
@click.option("--prometheus", is_flag=True, help="Print metrics for a text-file collector.")
@click.option("--fail-on-error", is_flag=True, help="Exit with 1 if any upload is in error.")
@output_option
def command(
    since: str | datetime | None, prometheus: bool, fail_on_error: bool, output: str | None, *, flags: Flags
) -> int:
    """Report."""
    settings = settings_in_force(flags)
    found = asyncio.run(_look(settings))
    record = _record(found, _news(settings, found, since))
    printer = Printer(output, (), _flat)
    if prometheus:
        click.echo("\n".join(_metrics(record)))
    elif printer.is_table:
        click.echo("\n".join(_page(record, settings.zone)))
    else:
        printer.print_all([record])
    return EXIT_FAILED_UPLOAD if fail_on_error and record["stages"][Stage.ERROR] else EXIT_DONE


async def _look(settings: ServiceSettings) -> _Found:
    from upload_tui.cli.visits import visit
    from upload_tui.monitor.picture import Query

    async with visit(settings) as seen:
        details = list(seen.details(Query(project_ids=frozenset(project.id for project in seen.projects))))
        as_of = min((detail.row.read_on for detail in details), default=datetime.now(UTC))
        return _Found(settings.url, seen.projects, details, as_of)


def _news(settings: ServiceSettings, found: _Found, since: str | datetime | None) -> Mapping[str, Any] | None:
    """What is new; `last` also keeps this look for the next."""
    from upload_tui.monitor.last_look import Look, keep_look, news_since, read_look
    from upload_tui.wire.times import format_time

    if since is None:
        return None
    look: Look | None = Look(since) if isinstance(since, datetime) else None
    if look is None:
        file = look_file(settings, (project.id for project in found.projects), "report")
        look = read_look(file)
        late = [detail.upload.id for detail in found.details if detail.row.judgement.is_overdue]
        keep_look(file, found.as_of, late)
    news = news_since(found.details, look or Look(datetime.fromtimestamp(0, UTC)))
    return {**asdict(news), "since": format_time(news.since) if look else None}


def _record(found: _Found, news: Mapping[str, Any] | None) -> Mapping[str, Any]:
    from upload_tui.monitor.statistics import statistics_of
    from upload_tui.wire.times import format_time

    figures = statistics_of(found.details)
    return {
        "service": found.service,
        "projects": [{"id": project.id, "name": project.name} for project in found.projects],
        "as_of": format_time(found.as_of),
        "total": figures.total,
        "stages": dict(figures.counts),
        "latencies": [asdict(latency) for latency in figures.latencies],
        "overdue": list(figures.overdue_ids),
        "stuck": list(figures.stuck_ids),
        "causes": [asdict(cause) for cause in figures.causes],
        "news": news,
    }


def _flat(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The figures as one row of CSV."""
    latencies = {
        f"{latency['after']}_to_{latency['before']}_{share}_seconds": latency[f"{share}_seconds"]
        for latency in record["latencies"]
        for share in ("p50", "p95", "p99")
    }
    counts = {key: len(record[key]) for key in ("overdue", "stuck")}
    plain = {key: record[key] for key in ("service", "as_of", "total")}
    return {**plain, **record["stages"], **counts, **latencies}


def _page(record: Mapping[str, Any], zone: tzinfo | None) -> Iterator[str]:
    from upload_tui.tui.formatting import duration_text, harmless, plural

    names = ", ".join(project["name"] or project["id"] for project in record["projects"])
    yield harmless(f"{plural(record['total'], 'upload')} of {names}, as of {local_time(record['as_of'], zone)}")
    for stage, count in record["stages"].items():
        yield f"  {stage:<10} {count:>8,}"
    for latency in record["latencies"]:
        times = "  ".join(f"{share} {duration_text(latency[f'{share}_seconds'])}" for share in ("p50", "p95", "p99"))
        yield f"{latency['after']} to {latency['before']}: {times}  ({plural(latency['samples'], 'sample')})"
    for word in ("overdue", "stuck"):
        if record[word]:
            yield f"{word} ({len(record[word])}): {harmless(' '.join(record[word]))}"
    for cause in record["causes"]:
        yield harmless(f"failed ({cause['count']}): {cause['cause']}")
    if record["news"] is not None:
        yield from _news_page(record["news"], zone)


def _news_page(news: Mapping[str, Any], zone: tzinfo | None) -> Iterator[str]:
    yield f"since {local_time(news['since'], zone)}:" if news["since"] else "first look; all is new:"
    for key in ("new", "verified", "failed", "newly_overdue"):
        yield f"  {key.replace('_', ' '):<14} {len(news[key]):>6,}"


def _metrics(record: Mapping[str, Any]) -> Iterator[str]:
    """In the text format of Prometheus."""
    projects = ",".join(sorted(project["id"] for project in record["projects"]))
    where = f"service={_label(record['service'])},projects={_label(projects)}"
    yield "# HELP upload_tui_uploads Uploads in each stage."
    yield "# TYPE upload_tui_uploads gauge"
    for stage, count in record["stages"].items():
        yield f'upload_tui_uploads{{{where},stage="{stage}"}} {count}'
    for word in ("overdue", "stuck"):
        yield f"# HELP upload_tui_{word}_uploads Pending uploads that look {word}."
        yield f"# TYPE upload_tui_{word}_uploads gauge"
        yield f"upload_tui_{word}_uploads{{{where}}} {len(record[word])}"
    yield "# HELP upload_tui_stage_seconds Time between two stages."
    yield "# TYPE upload_tui_stage_seconds summary"
    for latency in record["latencies"]:
        span = f'{where},from="{latency["after"]}",to="{latency["before"]}"'
        for share, quantile in (("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99")):
            yield f'upload_tui_stage_seconds{{{span},quantile="{quantile}"}} {latency[f"{share}_seconds"]}'
        yield f"upload_tui_stage_seconds_count{{{span}}} {latency['samples']}"


def _label(text: str) -> str:
    """A label's value, with the three escapes that the format knows."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'

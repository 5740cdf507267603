"""Access to the source that the settings name: its session, one listing of it, and what `doctor` finds."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from upload_tui.cli.access.readings import (
    ProjectReading,
    Snapshot,
    combined_error,
    print_readings,
    run_round,
)
from upload_tui.cli.access.service import report_replacement, service_of, trouble_limits
from upload_tui.cli.exit_codes import exit_code
from upload_tui.cli.support.environment import CheckState, Finding
from upload_tui.cli.support.output import echo_message
from upload_tui.errors import AuthError, SourceConfigError, SourceError
from upload_tui.files import expand_home
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from upload_tui.clock import Clock
    from upload_tui.monitor import Change, ChangeBroadcaster, SourceSession, SourceSynchroniser, Store, WatchedSource
    from upload_tui.sources import CommandSource, Inspection

__all__ = ["read_source", "report_missing_projects", "source_finding", "source_session", "source_synchroniser"]

_MAX_NAMES = 8


def _command_source(settings: ServiceSettings) -> "CommandSource":
    """The command of the settings; `~` at the start of the program is the home folder."""
    from pathlib import Path

    from upload_tui.sources import CommandSource

    program, *arguments = settings.command
    if program.startswith("~"):
        program = str(expand_home(Path(program)))
    return CommandSource((program, *arguments), timeout_seconds=settings.timeout_seconds)


def _watched(settings: ServiceSettings, *, has_all_projects: bool = False) -> "WatchedSource":
    from upload_tui.monitor import WatchedSource

    projects = frozenset[str]() if has_all_projects else frozenset(settings.projects)
    source, service = _command_source(settings), service_of(settings)
    return WatchedSource(source, service, settings.title, projects, settings.timeout_seconds)


def source_session(
    settings: ServiceSettings,
    store: "Store",
    clock: "Clock",
    *,
    changes: "ChangeBroadcaster | None" = None,
    ends_on_refusal: bool = False,
) -> "SourceSession":
    """Make a session over the source, with the refresh interval and the limits of the settings; see `SourceSession`."""
    from upload_tui.monitor import SourceSession, source_schedule

    return SourceSession(
        _watched(settings),
        store,
        clock,
        schedule=source_schedule(settings.refresh_seconds),
        limits=trouble_limits(settings),
        changes=changes,
        ends_on_refusal=ends_on_refusal,
    )


def source_synchroniser(
    settings: ServiceSettings,
    store: "Store",
    clock: "Clock",
    publish: "Callable[[Change], None]" = lambda _: None,
    *,
    has_all_projects: bool = False,
) -> "SourceSynchroniser":
    """A synchroniser whose progress is not published, and whose changes are not if nothing is to be called with them.

    Single uploads are looked for in all projects (`has_all_projects`), as a service finds them.
    """
    from upload_tui.monitor import SourceSynchroniser

    watched = _watched(settings, has_all_projects=has_all_projects)
    return SourceSynchroniser(watched, store, clock, publish, lambda *_: None)


def report_missing_projects(synchroniser: "SourceSynchroniser") -> Sequence[ProjectReading]:
    """Report each project of the settings that the whole listing lacks; return a reading of each.

    Raises:
        NotFoundError: it lacks all of them.
    """
    from upload_tui.monitor import ProjectRef

    missing = synchroniser.missing_projects()
    readings = [ProjectReading(ProjectRef(name), error) for name, error in missing.items()]
    if readings and not synchroniser.scope.projects:
        raise combined_error(readings)
    print_readings(readings)
    return readings


async def read_source(settings: ServiceSettings, store: "Store", clock: "Clock") -> Snapshot:
    """List the source once. A listing that failed is reported, and what is known is shown.

    Raises:
        ServiceError: nothing is known of the source, or of the projects.
    """
    from upload_tui.monitor import CachedFreshness, ProjectRef, StorePicture

    synchroniser = source_synchroniser(settings, store, clock)
    freshness, failure, missing = None, None, list[ProjectReading]()
    try:
        await run_round(synchroniser)
        if synchroniser.unreadable_notice:
            echo_message(f"{settings.title}: {synchroniser.unreadable_notice}.")
        missing.extend(report_missing_projects(synchroniser))
    except (AuthError, SourceConfigError, SourceError) as error:
        if not synchroniser.scope.projects:
            raise
        echo_message(f"{error.title}. Showing what is known; `as_of` has its time.")
        freshness, failure = CachedFreshness(clock.now()), error
    report_replacement(store)
    service, limits = service_of(settings), trouble_limits(settings)
    picture = StorePicture(store, clock, service, limits, synchroniser.scope.ids, freshness)
    projects = synchroniser.scope.projects or (ProjectRef(settings.title, settings.title),)
    errors = {one.project.id: one.error for one in missing}
    vanished = [failure or errors.get(project.id) or errors.get(project.name) for project in projects]
    is_complete = failure is None and not synchroniser.unreadable_notice
    readings = [
        ProjectReading(project, error, is_complete=is_complete, is_shown=True)
        for project, error in zip(projects, vanished, strict=True)
    ]
    known = {name for project in projects for name in (project.id, project.name)}
    never_listed = [one for one in missing if one.project.id not in known]
    code = exit_code(error=failure, is_missing=bool(missing), is_incomplete=not is_complete)
    return Snapshot(picture, [*readings, *never_listed], code)


async def source_finding(settings: ServiceSettings) -> Finding:
    """Run the source once and report what it printed.

    Raises:
        ServiceError: the listing is not whole.
    """
    from upload_tui.sources import inspect_source
    from upload_tui.text import overrun_text

    inspection = await inspect_source(_command_source(settings))
    if inspection.error is not None:
        raise inspection.error
    problems = [*inspection.problems, *inspection.misspelt_fields]
    message = _summary(inspection)
    if problems:
        return Finding(
            "source", CheckState.WARNING, f"{message}; {problems[0]}", "Run `upload-tui source check` on the command."
        )
    if overrun := overrun_text(inspection.listing.seconds, settings.refresh_seconds):
        hint = "Make the command faster, or set a longer `refresh` in the profile."
        return Finding("source", CheckState.WARNING, f"{message}; {overrun}", hint)
    return Finding("source", CheckState.OK, message)


def _summary(inspection: "Inspection") -> str:
    from upload_tui.text import plural

    lines = f"{plural(inspection.tally.upload_count, 'upload')} on {plural(inspection.line_count, 'line')}"
    unreadable = f", {inspection.tally.unreadable_count:,} unreadable" if inspection.tally.unreadable_count else ""
    unset = f"; never set: {_names(inspection.unset_fields)}" if inspection.tally.keys else ""
    return f"{lines}{unreadable} in {inspection.listing.seconds:.1f}s{unset}"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more

"""Access to a source, and what `doctor` finds out about it."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from upload_tui.cli.access.outages import retrying
from upload_tui.cli.access.readings import (
    FetchedUploads,
    ProjectResult,
    ProjectUploads,
    combined_error,
    print_results,
    read_until_kept,
    run_round,
)
from upload_tui.cli.access.service import (
    FoundProjects,
    open_store,
    report_replacement,
    service_of,
    store_picture,
    trouble_limits,
)
from upload_tui.cli.exit_codes import exit_code
from upload_tui.cli.support.environment import CheckState, Finding
from upload_tui.cli.support.output import echo_message
from upload_tui.errors import AuthError, NotFoundError, ServiceError, SourceConfigError, SourceError
from upload_tui.files import expand_home
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from datetime import datetime

    from upload_tui.client import RequestOutcome
    from upload_tui.clock import Clock
    from upload_tui.monitor import (
        Change,
        ChangeBroadcaster,
        Detail,
        ProjectRef,
        Schedule,
        SourceSession,
        SourceSynchroniser,
        SourceWaiter,
        StageReached,
        Store,
        WatchedSource,
    )
    from upload_tui.sources import CommandSource, Inspection
    from upload_tui.status import Stage

__all__ = ["SourceAccess", "source_finding"]

_MAX_NAMES = 8


def _command_source(settings: ServiceSettings) -> "CommandSource":
    """The command of the settings; `~` at the start of the program is the home folder."""
    from pathlib import Path

    from upload_tui.sources import CommandSource

    program, *arguments = settings.command
    if program.startswith("~"):
        program = str(expand_home(Path(program)))
    return CommandSource((program, *arguments), timeout_seconds=settings.timeout_seconds)


class SourceAccess:
    """Access to a source; implements `Access`."""

    def __init__(self, settings: ServiceSettings) -> None:
        from upload_tui.clock import SystemClock

        self._settings = settings
        self._listed: SourceSynchroniser | None = None
        self.service = service_of(settings)
        self.title = settings.title
        self.clock: Clock = SystemClock()
        self.request_listeners: list[Callable[[RequestOutcome], None]] = []

    def limit_requests(self) -> None:
        """Do nothing: a source gets no requests."""

    async def find_projects(self) -> FoundProjects:
        """None: those of a source are known when it has been listed."""
        return FoundProjects(())

    def session(
        self,
        store: "Store",
        found: FoundProjects,
        *,
        changes: "ChangeBroadcaster | None" = None,
        ends_on_refusal: bool = False,
    ) -> "SourceSession":
        """Make a session that lists the source again and again."""
        from upload_tui.monitor import SourceSession

        return SourceSession(
            self._watched(),
            store,
            self.clock,
            schedule=self.wait_schedule(),
            limits=trouble_limits(self._settings),
            changes=changes,
            ends_on_refusal=ends_on_refusal,
        )

    def _watched(self, *, has_all_projects: bool = False) -> "WatchedSource":
        from upload_tui.monitor import WatchedSource

        projects = frozenset[str]() if has_all_projects else frozenset(self._settings.projects)
        source, timeout_seconds = _command_source(self._settings), self._settings.timeout_seconds
        return WatchedSource(source, self.service, self.title, projects, timeout_seconds)

    def _synchroniser(
        self,
        store: "Store",
        publish: "Callable[[Change], None]" = lambda _: None,
        *,
        has_all_projects: bool = False,
    ) -> "SourceSynchroniser":
        """A synchroniser whose progress is not published."""
        from upload_tui.monitor import SourceSynchroniser

        watched = self._watched(has_all_projects=has_all_projects)
        return SourceSynchroniser(watched, store, self.clock, publish, lambda *_: None)

    async def read(self, store: "Store", *, accepts_cached: bool) -> ProjectUploads:
        """List the source once. A listing that failed is reported, and what is known is shown."""
        return await read_until_kept(store, lambda: self._read(store))

    async def _read(self, store: "Store") -> ProjectUploads:
        from upload_tui.monitor import CachedFreshness, ProjectRef

        settings, synchroniser = self._settings, self._synchroniser(store)
        freshness, failure, missing = None, None, list[ProjectResult]()
        try:
            await run_round(synchroniser.sync)
            if synchroniser.unreadable_notice:
                echo_message(f"{settings.title}: {synchroniser.unreadable_notice}.")
            missing.extend(_report_missing_projects(synchroniser))
        except (AuthError, SourceConfigError, SourceError) as error:
            if not synchroniser.scope.projects:
                raise
            echo_message(f"{error.title}. Showing what is known; `as_of` has its time.")
            freshness, failure = CachedFreshness(self.clock.now()), error
        report_replacement(store)
        project_ids = synchroniser.scope.ids
        picture = store_picture(settings, store, self.clock, project_ids=project_ids, freshness=freshness)
        projects = synchroniser.scope.projects or (ProjectRef(settings.title, settings.title),)
        errors = {one.project.id: one.error for one in missing}
        vanished = [failure or errors.get(project.id) or errors.get(project.name) for project in projects]
        is_complete = failure is None and not synchroniser.unreadable_notice
        readings = [
            ProjectResult(project, error, is_complete=is_complete, is_shown=True)
            for project, error in zip(projects, vanished, strict=True)
        ]
        known = {name for project in projects for name in (project.id, project.name)}
        never_listed = [one for one in missing if one.project.id not in known]
        code = exit_code(error=failure, is_missing=bool(missing), is_incomplete=not is_complete)
        return ProjectUploads(picture, [*readings, *never_listed], code)

    async def fetch(self, upload_ids: Sequence[str]) -> FetchedUploads:
        """List the source. An upload that is missing may be in a part that could not be read."""
        from upload_tui.cli.access.access import read_uploads

        found: list[Detail] = []
        errors: dict[str, ServiceError] = {}
        place = f" in {', '.join(self._settings.projects)}" if self._settings.projects else ""
        async with read_uploads(self._settings) as uploads:
            for upload_id in dict.fromkeys(upload_ids):
                detail = uploads.picture.detail(upload_id)
                if detail is not None and not detail.row.is_gone:
                    found.append(detail)
                elif all(reading.is_complete for reading in uploads.readings if reading.is_shown):
                    errors[upload_id] = NotFoundError(f"the source does not list it{place}")
                else:
                    errors[upload_id] = SourceError("not in what could be read of the listing")
        return FetchedUploads(found, errors, uploads.service_exit_code)

    async def list_projects(self) -> "tuple[Sequence[ProjectRef], str, int]":
        """The projects of the uploads that the source lists."""
        from upload_tui.cli.access.access import read_uploads

        async with read_uploads(self._settings) as uploads:
            return [one.project for one in uploads.readings if one.is_shown], "", uploads.service_exit_code

    async def read_unfinished(self, store: "Store") -> tuple[Sequence[str], int]:
        """List the source; again if it fails for a time."""
        synchroniser = self._listed = self._synchroniser(store)
        await retrying(synchroniser.sync)
        if synchroniser.unreadable_notice:
            echo_message(f"{self.title}: {synchroniser.unreadable_notice}.")
            code = exit_code(is_incomplete=True)
        else:
            code = exit_code(is_missing=bool(_report_missing_projects(synchroniser)))
        return [upload.id for upload in store.pending()], code

    def waiter(
        self,
        store: "Store",
        upload_ids: Sequence[str],
        goal: "Stage",
        publish: "Callable[[Change], None]" = lambda _: None,
    ) -> "SourceWaiter":
        """Make a waiter that lists the source."""
        from upload_tui.monitor import SourceWaiter

        synchroniser = self._listed or self._synchroniser(store, publish, has_all_projects=True)
        picture = store_picture(self._settings, store, self.clock)
        return SourceWaiter(synchroniser, picture, upload_ids, goal=goal, projects=self._settings.projects)

    def wait_schedule(self, shortest_seconds: float = 1.0) -> "Schedule":
        """The interval of the settings: each listing costs the same."""
        from upload_tui.monitor import source_schedule

        return source_schedule(self._settings.refresh_seconds)

    def logged_stages(self, since: "datetime") -> "Sequence[StageReached]":
        """The changes since then in the change log of the source's store: a source need not report their times."""
        watched = frozenset(self._settings.projects)
        with closing(open_store(self._settings)) as store:
            changes = store.change_log.stages_since(since)
        return [one for one in changes if not watched or watched & {one.upload.project_id, one.upload.project_name}]


def _report_missing_projects(synchroniser: "SourceSynchroniser") -> Sequence[ProjectResult]:
    """Report each project of the settings that the whole listing lacks; return a reading of each.

    Raises:
        NotFoundError: it lacks all of them.
    """
    from upload_tui.monitor import ProjectRef

    missing = synchroniser.missing_projects()
    readings = [ProjectResult(ProjectRef(name), error) for name, error in missing.items()]
    if readings and not synchroniser.scope.projects:
        raise combined_error(readings)
    print_results(readings)
    return readings


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
    from upload_tui.text import names_text, plural

    lines = f"{plural(inspection.tally.readable_count, 'upload')} on {plural(inspection.line_count, 'line')}"
    unreadable = f", {inspection.tally.unreadable_count:,} unreadable" if inspection.tally.unreadable_count else ""
    unset = f"; never set: {names_text(inspection.unset_fields, _MAX_NAMES)}" if inspection.tally.keys else ""
    return f"{lines}{unreadable} in {inspection.listing.seconds:.1f}s{unset}"

"""One round of each project, for commands that print and exit; what cannot be read is reported, one outcome per project."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from upload_tui.cli.access.outages import Retries
from upload_tui.cli.access.service import (
    OFFLINE_ERRORS,
    cached_projects,
    client_for,
    echo_failure_hint,
    find_projects,
    open_store,
    report_replacement,
    trouble_limits,
)
from upload_tui.cli.exit_codes import exit_code
from upload_tui.cli.support.output import echo_message
from upload_tui.errors import (
    EXIT_OK,
    NotFoundError,
    ServiceError,
    StorageResetError,
    UnreachableError,
)
from upload_tui.settings import ServiceSettings
from upload_tui.status import AnomalyName
from upload_tui.text import plural

if TYPE_CHECKING:
    from upload_tui.client import ServiceClient
    from upload_tui.monitor import Detail, ProjectRef, Query, SourceSynchroniser, Store, StorePicture, Synchroniser

__all__ = [
    "ProjectReading",
    "Snapshot",
    "combined_error",
    "decides_on_verdict",
    "open_snapshot",
    "print_readings",
    "read_projects_once",
    "read_when_ready",
    "resolve_projects",
    "run_round",
]

Result = TypeVar("Result")

_MAX_REPLACEMENTS = 2
"""A store is replaced by a new file, then by memory."""
_MAX_NAMED = 3
"""At most this many projects are named in the title of an error."""


class ProjectReading(Struct, frozen=True):
    """The result of reading one project in one round.

    Attributes:
        project: the project; without an id it stands for all listed projects that cannot be read.
        error: why it was not read; None if it was.
        notice: the problem of the data that are shown; empty if there is none.
        is_complete: whether all its uploads are shown, in their current state.
        is_shown: whether it is shown, with data that were read now or earlier.
        is_cached: whether a complete reading of an earlier session is shown in place of the present one.
    """

    project: "ProjectRef"
    error: ServiceError | None = None
    notice: str = ""
    is_complete: bool = False
    is_shown: bool = False
    is_cached: bool = False

    @property
    def text(self) -> str:
        """What a user must know about it, without the full stop; empty if all is well."""
        not_read = f"not read: {self.error.title}" if self.error else ""
        name, text = self.project.name or self.project.id, "; ".join(filter(None, (not_read, self.notice)))
        return f"{name}: {text}" if name and text else text


class Snapshot(Struct, frozen=True):
    """The state of some projects' uploads at one moment.

    Attributes:
        picture: the uploads, to be queried.
        readings: what became of each project that was asked for.
        service_exit_code: 0, or that of the first project that is not shown completely.
    """

    picture: "StorePicture"
    readings: Sequence[ProjectReading]
    service_exit_code: int

    @property
    def project_ids(self) -> frozenset[str]:
        """The ids of the projects that are shown, at least one."""
        return frozenset(reading.project.id for reading in self.readings if reading.is_shown)

    def verdict(self, settings: ServiceSettings, details: "Sequence[Detail]") -> int:
        """The exit code of `--fail-on-error`, of those that decide on it. A failed one comes before one that cannot be read."""
        from upload_tui.monitor import has_failed

        failed = [detail.upload.id for detail in details if has_failed(detail.row)]
        echo_failure_hint(settings, failed)
        if failed:
            return exit_code(has_failed=True)
        if ambiguous := sum(map(_is_ambiguous, details)):
            echo_message(f"the status of {plural(ambiguous, 'upload')} cannot be read.")
        return self.service_exit_code or exit_code(is_incomplete=bool(ambiguous))

    def details(self, query: "Query") -> "Iterator[Detail]":
        """Yield the uploads that match a query, in its order, without raw JSON; those that are gone only if it asks for them."""
        from upload_tui.monitor import includes_gone

        has_gone = includes_gone(query.where.tree)
        return (one for one in self.picture.details(query) if has_gone or not one.row.is_gone)


def decides_on_verdict(detail: "Detail") -> bool:
    """Whether `Snapshot.verdict` depends on an upload: it failed, or may have failed."""
    from upload_tui.monitor import has_failed

    return has_failed(detail.row) or _is_ambiguous(detail)


def _is_ambiguous(detail: "Detail") -> bool:
    """Whether the status of an upload cannot be read, so that it may have failed."""
    upload = detail.upload
    has_no_shape = any(anomaly.name is AnomalyName.UNKNOWN_SHAPE for anomaly in upload.anomalies)
    return has_no_shape and upload.timeline.unknown_state is not None


@asynccontextmanager
async def open_snapshot(settings: ServiceSettings, *, is_verdict: bool = False) -> AsyncIterator[Snapshot]:
    """Read the projects of the settings once; report each one that cannot be read.

    Args:
        settings: the service and the projects.
        is_verdict: whether the exit code is a verdict on the uploads, which the cache of an earlier session cannot give.

    Raises:
        ServiceError: nothing can be shown of any project.
        StorageResetError: the store lost its data while they were used.
    """
    from upload_tui.clock import SystemClock
    from upload_tui.monitor import CachedFreshness, StorePicture

    store = open_store(settings)
    try:
        if settings.command:
            from upload_tui.cli.access.source import read_source

            snapshot = await _read_until_kept(store, lambda: read_source(settings, store, SystemClock()))
            with _keeping_data(store):
                yield snapshot
            return
        async with client_for(settings) as client:
            clock = client.clock_offset.shifted(SystemClock())
            readings = await _read_until_kept(store, lambda: _read_or_cached(client, store, settings))
            is_offline = all(reading.error for reading in readings)
            # The ages of cached uploads end at the time of the cache.
            freshness = CachedFreshness(clock.now()) if is_offline else None
            report_replacement(store)
            picture = StorePicture(store, clock, client.root, trouble_limits(settings), freshness=freshness)
            code = print_readings(readings)
            is_accepted = not is_verdict and all(reading.is_cached for reading in readings)
            of_projects = [reading for reading in readings if reading.project.id]
            with _keeping_data(store):
                yield Snapshot(picture, of_projects, EXIT_OK if is_accepted else code)
    finally:
        report_replacement(store)
        store.close()


@contextmanager
def _keeping_data(store: "Store") -> Iterator[None]:
    """Raise StorageResetError if the store was replaced by an empty one inside the context: what was shown is not all."""
    generation = store.generation
    yield
    if store.generation != generation:
        raise StorageResetError(store.notice, "Run the command again.")


async def _read_until_kept(store: "Store", read: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Read into a store; again if it was replaced by an empty one meanwhile: by a new file, then by memory, at most."""
    for _ in range(_MAX_REPLACEMENTS):
        generation, result = store.generation, await read()
        if store.generation == generation:
            return result
    return await read()


async def _read_or_cached(
    client: "ServiceClient", store: "Store", settings: ServiceSettings
) -> Sequence[ProjectReading]:
    """Read the projects of the settings; offline, those that are cached."""
    try:
        projects, unknown = await resolve_projects(client, settings.projects)
    except OFFLINE_ERRORS as error:
        projects, unknown = _cached_or_unknown(store, settings.projects, error)
        cached = [_failed_reading(_new_synchroniser(client, store, project), error) for project in projects]
        readings = [*cached, *unknown]
    else:
        readings = [*await read_projects_once(client, store, projects), *unknown]
    if not any(reading.is_shown for reading in readings):
        raise combined_error(readings)
    return readings


async def resolve_projects(
    client: "ServiceClient", names: Sequence[str]
) -> "tuple[Sequence[ProjectRef], Sequence[ProjectReading]]":
    """Find projects as `find_projects` does; return those found, and a reading of each that was not, or that cannot be read.

    Raises:
        ServiceError: the service fails, or the account sees no project at all.
    """
    from upload_tui.monitor import ProjectRef

    if not names:
        projects, notice = await find_projects(client, ()), client.projects_notice
        return projects, [ProjectReading(ProjectRef(""), notice=notice)] if notice else []
    known, found, missing = await client.projects(), [], []
    for name in names:
        try:
            project = client.select_project(known, name)
            found.append(ProjectRef(project.id, project.name))
        except NotFoundError as error:
            missing.append(ProjectReading(ProjectRef(name), error))
    return list(dict.fromkeys(found)), missing


async def read_projects_once(
    client: "ServiceClient", store: "Store", projects: "Sequence[ProjectRef]"
) -> Sequence[ProjectReading]:
    """Run one round of each project, all at the same time: one that fails or hangs does not hide the others."""
    return await asyncio.gather(*(_read_project(client, store, project) for project in projects))


async def _read_project(client: "ServiceClient", store: "Store", project: "ProjectRef") -> ProjectReading:
    synchroniser = _new_synchroniser(client, store, project)
    try:
        await run_round(synchroniser)
    except ServiceError as error:
        return _failed_reading(synchroniser, error)
    is_complete = not synchroniser.unreadable_notice
    return ProjectReading(project, notice=synchroniser.notice, is_complete=is_complete, is_shown=True)


def _failed_reading(synchroniser: "Synchroniser", error: ServiceError) -> ProjectReading:
    """The reading of a project that was not read: offline, what is known of it is shown; without access, nothing is."""
    project, read_on, known = synchroniser.project, synchroniser.previous_read_on, synchroniser.order.count()
    if not isinstance(error, OFFLINE_ERRORS):
        return ProjectReading(project, error)
    if read_on is None and not known:
        return ProjectReading(project, error, "nothing of it is cached")
    shown = f"showing {plural(known, 'upload')} read before"
    if read_on is None:
        return ProjectReading(project, error, shown, is_shown=True)
    notice = "; ".join(filter(None, (f"{shown}, at {read_on:%Y-%m-%d %H:%M:%SZ}", synchroniser.unreadable_notice)))
    return ProjectReading(project, error, notice, is_shown=True, is_cached=not synchroniser.unreadable_notice)


def print_readings(readings: Sequence[ProjectReading]) -> int:
    """Report on standard error what is wrong with each project; return the exit code of the first that is not complete.

    If all failed for the same reason, the service is offline, which is one line.
    """
    errors = {reading.error.title for reading in readings if reading.error}
    if len(errors) == 1 and all(reading.is_cached for reading in readings):
        echo_message(f"offline: {errors.pop()}. Showing the cache of the last session; `as_of` has its time.")
    else:
        for text in filter(None, (reading.text for reading in readings)):
            echo_message(f"{text}.")
    first = next((reading for reading in readings if not reading.is_complete), None)
    return exit_code(error=None if first is None else first.error, is_incomplete=first is not None)


def combined_error(readings: Sequence[ProjectReading]) -> ServiceError:
    """The error of projects of which nothing can be shown: that of the first one, with a title that names some of them."""
    failed = [(reading.project.name or reading.project.id, reading.error) for reading in readings if reading.error]
    error, titles = failed[0][1], [failed[0][1].title]
    if len(failed) > 1:
        titles = [f"{name}: {one.title}" for name, one in failed[:_MAX_NAMED]]
        titles += [f"and {plural(len(failed) - _MAX_NAMED, 'more project')}"] if len(failed) > _MAX_NAMED else []
    return error.with_title("; ".join([*titles, *(reading.notice for reading in readings if not reading.error)]))


def _new_synchroniser(client: "ServiceClient", store: "Store", project: "ProjectRef") -> "Synchroniser":
    """A synchroniser whose changes and progress are not published."""
    from upload_tui.monitor import Synchroniser

    return Synchroniser(client, store, project, lambda _: None, lambda *_: None)


async def run_round(synchroniser: "Synchroniser | SourceSynchroniser") -> None:
    """Run one round; start again if the store was replaced."""
    for _ in range(_MAX_REPLACEMENTS):
        with suppress(StorageResetError):
            await synchroniser.sync()
            return
    await synchroniser.sync()


def _cached_or_unknown(
    store: "Store", names: Sequence[str], error: ServiceError
) -> "tuple[Sequence[ProjectRef], Sequence[ProjectReading]]":
    """The cached ones of the named projects, or all, and a reading of each named one that is not cached."""
    from upload_tui.monitor import ProjectRef

    cached = cached_projects(store, names)
    if not cached:
        raise error
    unknown = [
        ProjectReading(ProjectRef(name), error, "nothing of it is cached")
        for name in names
        if not cached_projects(store, [name])
    ]
    return cached, unknown


async def read_when_ready(
    client: "ServiceClient", store: "Store", projects: "Sequence[ProjectRef]"
) -> "Sequence[ProjectReading]":
    """Read each project once; transient errors, and lost connections of a service that has answered, are ridden out."""
    retries, done, left = Retries(), list[ProjectReading](), projects
    while True:
        readings = await read_projects_once(client, store, left)
        passing = [reading for reading in readings if _may_pass(reading.error)]
        done += [reading for reading in readings if reading not in passing]
        if not passing or passing[0].error is None:
            retries.report(None)
            return done
        left = [reading.project for reading in passing]
        await retries.wait(passing[0].error)


def _may_pass(error: ServiceError | None) -> bool:
    return error is not None and (error.is_transient or isinstance(error, UnreachableError))

"""One round of each project, for commands that print and exit; what cannot be read is reported, one outcome per project."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from upload_tui.cli.access.outages import Retries
from upload_tui.cli.access.service import (
    OFFLINE_ERRORS,
    cached_projects,
    echo_failure_hint,
    find_projects,
)
from upload_tui.cli.exit_codes import exit_code
from upload_tui.cli.support.output import echo_message
from upload_tui.errors import (
    InvalidResponseError,
    NotConsistentError,
    NotFoundError,
    ServerError,
    ServiceError,
    StorageResetError,
    UnreachableError,
)
from upload_tui.settings import ServiceSettings
from upload_tui.status import AnomalyName
from upload_tui.text import plural

if TYPE_CHECKING:
    from upload_tui.client import ServiceClient
    from upload_tui.monitor import Detail, ProjectRef, Query, Store, StorePicture, Synchroniser
    from upload_tui.wire import UploadReading

__all__ = [
    "FetchedUploads",
    "ProjectResult",
    "ProjectUploads",
    "combined_error",
    "decides_on_verdict",
    "fetch_readings",
    "keeping_data",
    "print_results",
    "read_or_cached",
    "read_until_kept",
    "read_when_ready",
    "resolve_projects",
    "run_round",
]

Result = TypeVar("Result")

_MAX_REPLACEMENTS = 2
"""A store is replaced by a new file, then by memory."""
_MAX_NAMED = 3
"""At most this many projects are named in the title of an error."""


class ProjectResult(Struct, frozen=True):
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


class ProjectUploads(Struct, frozen=True):
    """The uploads of some projects, as a command has read them.

    Attributes:
        picture: the uploads, to be queried.
        readings: what became of each project that was asked for.
        service_exit_code: 0, or that of the first project that is not shown completely.
    """

    picture: "StorePicture"
    readings: Sequence[ProjectResult]
    service_exit_code: int

    @property
    def project_ids(self) -> frozenset[str]:
        """The ids of the projects that are shown, at least one."""
        return frozenset(reading.project.id for reading in self.readings if reading.is_shown)

    def print_verdict(self, settings: ServiceSettings, details: "Sequence[Detail]") -> int:
        """Print what failed of these uploads or cannot be read; return the exit code of `--fail-on-error`.

        A failed upload comes before one that cannot be read.
        """
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


class FetchedUploads(Struct, frozen=True):
    """Single uploads that were asked for.

    Attributes:
        details: those that can be read, each once.
        errors: why the others cannot, by id.
        service_exit_code: 0, or that of what else of the source cannot be read.
    """

    details: "Sequence[Detail]"
    errors: Mapping[str, ServiceError]
    service_exit_code: int


def decides_on_verdict(detail: "Detail") -> bool:
    """Whether `ProjectUploads.print_verdict` depends on an upload: it failed, or may have failed."""
    from upload_tui.monitor import has_failed

    return has_failed(detail.row) or _is_ambiguous(detail)


def _is_ambiguous(detail: "Detail") -> bool:
    """Whether the status of an upload cannot be read, so that it may have failed."""
    upload = detail.upload
    has_no_shape = any(anomaly.name is AnomalyName.UNKNOWN_SHAPE for anomaly in upload.anomalies)
    return has_no_shape and upload.timeline.unknown_state is not None


@contextmanager
def keeping_data(store: "Store") -> Iterator[None]:
    """Raise StorageResetError if the store was replaced by an empty one inside the context: what was shown is not all."""
    generation = store.generation
    yield
    if store.generation != generation:
        raise StorageResetError(store.notice, "Run the command again.")


async def read_until_kept(store: "Store", read: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Read into a store; again if it was replaced by an empty one meanwhile: by a new file, then by memory, at most."""
    for _ in range(_MAX_REPLACEMENTS):
        generation, result = store.generation, await read()
        if store.generation == generation:
            return result
    return await read()


async def read_or_cached(client: "ServiceClient", store: "Store", settings: ServiceSettings) -> Sequence[ProjectResult]:
    """Read the projects of the settings; offline, those that are cached."""
    try:
        projects, unknown = await resolve_projects(client, settings.projects)
    except OFFLINE_ERRORS as error:
        projects, unknown = _cached_or_unknown(store, settings.projects, error)
        cached = [_failed_reading(_new_synchroniser(client, store, project), error) for project in projects]
        readings = [*cached, *unknown]
    else:
        readings = [*await _read_projects(client, store, projects), *unknown]
    if not any(reading.is_shown for reading in readings):
        raise combined_error(readings)
    return readings


async def resolve_projects(
    client: "ServiceClient", names: Sequence[str]
) -> "tuple[Sequence[ProjectRef], Sequence[ProjectResult]]":
    """Find projects as `find_projects` does; return those found, and a reading of each that was not, or that cannot be read.

    Raises:
        ServiceError: the service fails, or the account sees no project at all.
    """
    from upload_tui.monitor import ProjectRef

    if not names:
        projects, notice = await find_projects(client, ())
        return projects, [ProjectResult(ProjectRef(""), notice=notice)] if notice else []
    listed, found, missing = await client.projects(), [], []
    for name in names:
        try:
            project = client.select_project(listed, name)
            found.append(ProjectRef(project.id, project.name))
        except NotFoundError as error:
            missing.append(ProjectResult(ProjectRef(name), error))
    return list(dict.fromkeys(found)), missing


async def _read_projects(
    client: "ServiceClient", store: "Store", projects: "Sequence[ProjectRef]"
) -> Sequence[ProjectResult]:
    """Run one round of each project, all at the same time: one that fails or hangs does not hide the others."""
    return await asyncio.gather(*(_read_project(client, store, project) for project in projects))


async def _read_project(client: "ServiceClient", store: "Store", project: "ProjectRef") -> ProjectResult:
    synchroniser = _new_synchroniser(client, store, project)
    try:
        await run_round(synchroniser.sync)
    except ServiceError as error:
        return _failed_reading(synchroniser, error)
    is_complete = not synchroniser.unreadable_notice
    return ProjectResult(project, notice=synchroniser.notice, is_complete=is_complete, is_shown=True)


def _failed_reading(synchroniser: "Synchroniser", error: ServiceError) -> ProjectResult:
    """The reading of a project that was not read: offline, what is known of it is shown; without access, nothing is."""
    project, read_on, known = synchroniser.project, synchroniser.previous_read_on, synchroniser.known.count()
    if not isinstance(error, OFFLINE_ERRORS):
        return ProjectResult(project, error)
    if read_on is None and not known:
        return ProjectResult(project, error, "nothing of it is cached")
    shown = f"showing {plural(known, 'upload')} read before"
    if read_on is None:
        return ProjectResult(project, error, shown, is_shown=True)
    notice = "; ".join(filter(None, (f"{shown}, at {read_on:%Y-%m-%d %H:%M:%SZ}", synchroniser.unreadable_notice)))
    return ProjectResult(project, error, notice, is_shown=True, is_cached=not synchroniser.unreadable_notice)


def print_results(readings: Sequence[ProjectResult]) -> int:
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


def combined_error(readings: Sequence[ProjectResult]) -> ServiceError:
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


async def run_round(sync: Callable[[], Awaitable[object]]) -> None:
    """Run one round of a synchroniser; start again if the store was replaced."""
    for _ in range(_MAX_REPLACEMENTS):
        with suppress(StorageResetError):
            await sync()
            return
    await sync()


def _cached_or_unknown(
    store: "Store", names: Sequence[str], error: ServiceError
) -> "tuple[Sequence[ProjectRef], Sequence[ProjectResult]]":
    """The cached ones of the named projects, or all, and a reading of each named one that is not cached."""
    from upload_tui.monitor import ProjectRef

    cached = cached_projects(store, names)
    if not cached:
        raise error
    unknown = [
        ProjectResult(ProjectRef(name), error, "nothing of it is cached")
        for name in names
        if not cached_projects(store, [name])
    ]
    return cached, unknown


async def read_when_ready(
    client: "ServiceClient", store: "Store", projects: "Sequence[ProjectRef]"
) -> "Sequence[ProjectResult]":
    """Read each project once; transient errors, and lost connections of a service that has answered, are ridden out."""
    retries, done, left = Retries(), list[ProjectResult](), projects
    while True:
        readings = await _read_projects(client, store, left)
        passing = [reading for reading in readings if _may_pass(reading.error)]
        done += [reading for reading in readings if reading not in passing]
        if not passing or passing[0].error is None:
            retries.report(None)
            return done
        left = [reading.project for reading in passing]
        await retries.wait(passing[0].error)


def _may_pass(error: ServiceError | None) -> bool:
    return error is not None and (error.is_transient or isinstance(error, UnreachableError))


async def fetch_readings(
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

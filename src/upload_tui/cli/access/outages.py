"""What commands without a screen print on standard error while something cannot be read: one rule for all of them.

Each cause is one line, with what to do about it; another line says when it can be read again.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from upload_tui.cli.support.output import echo_message
from upload_tui.errors import NotFoundError, ServiceError, ThrottledError

if TYPE_CHECKING:
    from upload_tui.monitor import Connection, ProjectRef, Session

__all__ = ["ConnectionReporter", "Outages", "Retries", "lost_error", "retrying"]

Result = TypeVar("Result")

_FIRST_RETRY_SECONDS = 0.5
_LONGEST_RETRY_SECONDS = 15.0
_DIGITS = re.compile(r"\d+")


class Outages:
    """Why some things cannot be read: prints each cause of each one once, until it can be read again.

    Causes that differ in their numbers only, such as a time, are the same.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._causes: dict[str, set[str]] = {}

    def begin(self, name: str, cause: str, *, state: str = "", hint: str = "") -> None:
        """Print why one thing cannot be read, unless that was printed.

        Args:
            name: what it is; empty if it is all there is.
            cause: why, in one sentence without a full stop.
            state: what becomes of it, such as `retrying`; may be empty.
            hint: what to do; may be empty.
        """
        key, causes = _DIGITS.sub("0", cause), self._causes.setdefault(name, set())
        if key not in causes:
            causes.add(key)
            advice = f" {hint}{'' if hint.endswith(('.', '?')) else '.'}" if hint else ""
            self._print(name, f"{state}{state and ': '}{cause}.{advice}")

    def end(self, name: str) -> bool:
        """Note that one thing can be read again; True if it could not."""
        return bool(self._causes.pop(name, None))

    def print_end(self, name: str) -> None:
        """Print that one thing can be read again."""
        self._print(name, "live again.")

    def _print(self, name: str, text: str) -> None:
        echo_message(f"{self._prefix}{name}{name and ': '}{text}")


class Retries:
    """The waits between attempts of a command that rides out what may pass."""

    def __init__(self) -> None:
        self._seconds = _FIRST_RETRY_SECONDS
        self._outages = Outages()

    def report(self, error: ServiceError | None) -> None:
        """Report an error once, and its end (None)."""
        if error is not None:
            self._outages.begin("", error.title, state="retrying", hint=error.hint)
        elif self._outages.end(""):
            self._outages.print_end("")

    async def wait(self, error: ServiceError) -> None:
        """Report an error and wait: as long as the service asks for, else longer each time."""
        self.report(error)
        seconds = error.retry_after_seconds if isinstance(error, ThrottledError) else None
        await asyncio.sleep(self._seconds if seconds is None else seconds)
        self._seconds = min(2 * self._seconds, _LONGEST_RETRY_SECONDS)


async def retrying(attempt: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Attempt something until no transient error prevents it, for commands that keep running: from the first request on."""
    retries = Retries()
    while True:
        try:
            result = await attempt()
        except ServiceError as error:
            if not error.is_transient:
                raise
            await retries.wait(error)
        else:
            retries.report(None)
            return result


def lost_error(projects: "Sequence[ProjectRef]") -> NotFoundError:
    """The error of projects that the service no longer has."""
    names = ", ".join(project.name or project.id for project in projects)
    return NotFoundError(f"The service no longer has {names}", "It was deleted, or this account may no longer see it.")


class ConnectionReporter:
    """Reports the connections of a session: what cannot be read, and when it can be read again.

    Args:
        session: keeps a picture of some projects.
        service: begins each line if there may be several services; else empty.
        notice: what is missing besides its projects; empty if nothing is.
    """

    def __init__(self, session: "Session", *, service: str = "", notice: str = "") -> None:
        self._session = session
        prefix = f"{service}: " if service else ""
        self._failures, self._notices, self._lost = Outages(prefix), Outages(prefix), Outages(prefix)
        if notice:
            echo_message(f"{prefix}{notice}.")

    def report(self, project: "ProjectRef | None", connection: "Connection") -> None:
        """Report the state of a project, None for all of them. One that is lost is reported once, for good."""
        from upload_tui.monitor import ConnectionState

        is_one_of_several = project is not None and len(self._session.projects) > 1
        name = (project.name or project.id) if project is not None and is_one_of_several else ""
        if not connection.is_live:
            if project is not None and is_one_of_several and connection.state is ConnectionState.DELETED:
                self._lost.begin("", f"{lost_error([project]).title}; the other projects are still followed")
            elif connection.reason:
                self._failures.begin(name, connection.reason, state=connection.state, hint=connection.hint)
            return
        # The service as a whole failed if it was not known yet which projects it has.
        ended = [self._failures.end(""), self._failures.end(name), not connection.reason and self._notices.end(name)]
        if any(ended):
            self._failures.print_end(name)
        if connection.reason:
            self._notices.begin(name, connection.reason)

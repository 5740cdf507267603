"""The protocol of a source: something that lists everything that is there now.

`CommandSource` runs a command. Another kind of source (one that reads an object store itself, for example) implements
`SnapshotSource` in a module of its own; it lists lines of the same contract, and the synchroniser does the rest.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct

from upload_tui.errors import AuthError, ServiceError, SourceConfigError, SourceError
from upload_tui.sources.contract import ErrorKind, ErrorLine
from upload_tui.text import sanitize_line

__all__ = ["LineBatch", "Listing", "LineReceiver", "SnapshotSource", "listing_error"]


class LineBatch(Struct, frozen=True):
    """Some consecutive lines of a listing.

    Attributes:
        first_number: the number of the first line, from 1.
        lines: without their ends; None for one that is longer than `MAX_LINE_BYTES`.
    """

    first_number: int
    lines: Sequence[bytes | None]


class Listing(Struct, frozen=True, kw_only=True):
    """How a listing ended.

    Attributes:
        failure: why it ended before everything was listed, in one sentence without a full stop; empty if it did not.
        is_misconfigured: it failed for a reason that waiting does not remove, such as a command that does not exist.
        stderr: the end of what the command wrote to standard error, not sanitized.
        seconds: how long it took.
    """

    failure: str = ""
    is_misconfigured: bool = False
    stderr: str = ""
    seconds: float = 0.0


LineReceiver: TypeAlias = Callable[[LineBatch], Awaitable[None]]


class SnapshotSource(Protocol):
    """Lists every upload that is there now, one line of the contract each."""

    @property
    def name(self) -> str:
        """A short name, shown where a service's host is."""
        ...

    async def read(self, receive: LineReceiver) -> Listing:
        """List once. Awaits `receive` for each batch of lines, and reads no further until it returns.

        Never called again before it has returned. When it is cancelled, nothing of it keeps running. It raises only what
        `receive` raises; its own failures are in the result.
        """
        ...


def listing_error(listing: Listing, error: ErrorLine | None, problem: str) -> ServiceError | None:
    """The error of a listing that did not say everything; None if it did.

    Args:
        listing: how it ended.
        error: the line of type `error` that it contains; None if there is none.
        problem: what contradicts that it is complete; empty if nothing does.
    """
    last = listing.stderr.strip().splitlines()[-1:]
    said = f": {sanitize_line(last[0])}" if last and last[0].strip() else ""
    if error is not None:
        return _reported_error(error, said)
    if listing.failure and listing.is_misconfigured:
        return SourceConfigError(listing.failure, "Correct `command` in the profile, or the argument of --command.")
    if listing.failure:
        return SourceError(f"partial: {listing.failure}{said}", "Run `upload-tui source check` on the command.")
    return SourceError(f"partial: {problem}", "Run `upload-tui source check` on the command.") if problem else None


def _reported_error(error: ErrorLine, said: str) -> ServiceError:
    message = f": {sanitize_line(error.message)}" if error.message.strip() else said
    match error.kind:
        case ErrorKind.AUTH:
            return AuthError(f"the source is not allowed to list{message}", "Renew the credentials of its command.")
        case ErrorKind.CONFIG:
            return SourceConfigError(f"the source is not configured{message}", "Correct the settings of its command.")
        case ErrorKind.TRANSIENT:
            return SourceError(f"partial: the source could not list everything{message}")

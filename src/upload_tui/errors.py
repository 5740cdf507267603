"""The error tree, the exit codes of the commands, and suggestions for hints.

Every error that the program raises on purpose is one of these; only `cli` prints them and exits::

    UploadTuiError
    ├── UsageError                  2    the command line is wrong
    │   ├── SettingsError           2    a settings file, a variable or a profile is wrong
    │   └── QueryError              2    a query has a mistake, or is unfinished
    ├── ServiceError                3    the service cannot be used now
    │   ├── UnreachableError        3    no connection, unknown host, TLS failure or timeout
    │   ├── ThrottledError          3    429 or 503: retry later
    │   ├── ServerError             3    5xx, or a 404 that reports a failure of the service itself
    │   ├── InvalidResponseError    3    the response does not follow the contract
    │   │   └── ForeignPageError    3    it is no JSON at all: a page of maintenance, or of a proxy
    │   ├── NotConsistentError      3    404 `resource_not_consistent`: not available yet, retry
    │   ├── AuthError               4    401 or 403
    │   │   └── SourceAuthError     4    the command of a source says so of its own credentials
    │   ├── NotFoundError           5    404: no such project or upload
    │   ├── SourceError             3    the command of a source failed, or did not list everything
    │   │   └── SourceConfigError   2    it cannot work as it is configured
    │   └── BadRequestError         3    400: the service rejects the request
    ├── StorageError                2    a file of this program cannot be read or written
    │   ├── BusyStorageError        2    another process is using it; retry later
    │   │   └── StorageResetError   2    it was replaced by a new, empty file; retry now
    │   ├── DamagedStorageError     2    it is damaged, or belongs to another program
    │   └── NewerStorageError       2    a newer upload-tui wrote it
    ├── StyleError                  2    a style sheet is missing from the installation
    ├── OutputError                74    standard output cannot be written
    └── InternalError              70    a bug in this program

An error has a `title` (what happened, to which URL or file) and a `hint` (what to do about it). Neither contains a token or a
signed URL. Text from a service is sanitized where it is printed, not here.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from typing import ClassVar, NamedTuple, Self, TypeVar

__all__ = [
    "AuthError",
    "BadRequestError",
    "BusyStorageError",
    "Cause",
    "DamagedStorageError",
    "EXIT_AUTH",
    "EXIT_CODES",
    "EXIT_FAILED_UPLOAD",
    "EXIT_INTERNAL_ERROR",
    "EXIT_INTERRUPTED",
    "EXIT_NOT_FOUND",
    "EXIT_OK",
    "EXIT_OUTPUT",
    "EXIT_TIMED_OUT",
    "EXIT_UNREACHABLE",
    "EXIT_USAGE",
    "ForeignPageError",
    "InternalError",
    "InvalidResponseError",
    "NewerStorageError",
    "NotConsistentError",
    "NotFoundError",
    "OutputError",
    "QueryError",
    "ServerError",
    "ServiceError",
    "SettingsError",
    "SourceAuthError",
    "SourceConfigError",
    "SourceError",
    "StorageError",
    "StorageResetError",
    "StyleError",
    "ThrottledError",
    "UnreachableError",
    "UploadTuiError",
    "UsageError",
    "did_you_mean",
    "first_of_group",
    "signal_exit_code",
]

AnyError = TypeVar("AnyError", bound=BaseException)

EXIT_OK = 0
EXIT_FAILED_UPLOAD = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_AUTH = 4
EXIT_NOT_FOUND = 5
EXIT_INTERNAL_ERROR = 70
EXIT_OUTPUT = 74
EXIT_TIMED_OUT = 124
EXIT_INTERRUPTED = 130

EXIT_CODES: Mapping[int, str] = {
    EXIT_OK: "done; for `wait` and `tail ID`: all verified",
    EXIT_FAILED_UPLOAD: (
        "at least one upload in error, or verified but not whole (`wait`, `tail ID`; `list` and `report` with `--fail-on-error`)"
    ),
    EXIT_USAGE: "usage or configuration error; a store, recording or export that cannot be read or written",
    EXIT_UNREACHABLE: "the service, or one of its projects, cannot be read; an upload that it lists cannot be read",
    EXIT_AUTH: "not authenticated or not allowed",
    EXIT_NOT_FOUND: "no such project or upload",
    EXIT_INTERNAL_ERROR: "internal error; `--debug` prints details",
    EXIT_OUTPUT: "standard output cannot be written, and nothing else failed",
    EXIT_TIMED_OUT: "timed out while pending (`--timeout-exit-code` changes it)",
    EXIT_INTERRUPTED: "interrupted (Ctrl+C); another signal gives 128 plus its number",
}
"""What they mean, for the help and the README. Errors have them as `exit_code`; `cli.exit_codes` decides where none was raised."""


def signal_exit_code(number: int) -> int:
    """The exit code of a program that a signal ended."""
    return 128 + number


class Cause(NamedTuple):
    """Why something failed, in parts, for a place without room for a title.

    Attributes:
        words: what happened, in a few words, without a URL.
        status: the HTTP status of the response; None if there was none.
        details: what the service or the source itself says about it; empty if it says nothing.
    """

    words: str
    status: int | None = None
    details: str = ""


class UploadTuiError(Exception):
    """Base of all errors.

    Args:
        title: what happened, and to which URL or file: one sentence without a full stop.
        hint: what to do about it; empty if there is nothing to do.
        cause: the title in parts; None if it is short enough.
    """

    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, title: str, hint: str = "", *, cause: Cause | None = None) -> None:
        super().__init__(title)
        self.title = title
        self.hint = hint
        self.cause = cause or Cause(title)

    def with_title(self, title: str) -> Self:
        """The same error with another title."""
        other = copy(self)
        other.title = title
        return other


class UsageError(UploadTuiError):
    """The command line is wrong."""


class SettingsError(UsageError):
    """A setting is unknown, has the wrong type or cannot be read."""


class QueryError(UsageError):
    """A query has a mistake.

    Args:
        title: what is wrong.
        hint: what to write instead.
        text: the whole query.
        position: the character (from 0) where it is.
        is_unfinished: True if more text can complete it.
    """

    def __init__(self, title: str, hint: str, *, text: str, position: int, is_unfinished: bool = False) -> None:
        super().__init__(title, hint)
        self.text = text
        self.position = position
        self.is_unfinished = is_unfinished


class StorageError(UploadTuiError):
    """A file of this program (store, recording, export) cannot be read or written.

    Args:
        title: what happened, and to which file.
        hint: what to do about it.
        reason: why in a few words, such as `disk is full`; empty if the title says no more than that.
    """

    def __init__(self, title: str, hint: str = "", *, reason: str = "") -> None:
        super().__init__(title, hint)
        self.reason = reason


class BusyStorageError(StorageError):
    """Another process has kept a file locked for longer than the timeout. The write can be retried."""


class StorageResetError(BusyStorageError):
    """A store failed during a write and was replaced by a new one. The write can be retried now."""


class DamagedStorageError(StorageError):
    """A file is damaged, or belongs to another program."""


class NewerStorageError(StorageError):
    """A newer upload-tui wrote the file."""


class StyleError(UploadTuiError):
    """A style sheet of the dashboard is missing from the installation."""


class OutputError(UploadTuiError):
    """Standard output cannot be written: the device is full, or the stream is closed."""

    exit_code = EXIT_OUTPUT


class InternalError(UploadTuiError):
    """A bug in this program; `__cause__` is the original exception, for `--debug`."""

    exit_code = EXIT_INTERNAL_ERROR

    @classmethod
    def from_exception(cls, cause: BaseException) -> Self:
        """Wrap an unexpected exception; of a group, its first."""
        cause = first_of_group(cause) if isinstance(cause, BaseExceptionGroup) else cause
        error = cls(
            f"Internal error in upload-tui ({type(cause).__name__})", "Please report it, with the output of --debug."
        )
        error.__cause__ = cause
        return error


class ServiceError(UploadTuiError):
    """A request to the service failed. `status` is the HTTP status of the response; None if there was none.

    `is_transient`: the same request is likely to succeed soon: the service itself says so, something in front of it answered, or
    a source may list in its next run. `is_partial`: a source has listed a part; the rest is as before.
    """

    exit_code = EXIT_UNREACHABLE
    is_transient: bool = False
    is_partial: bool = False
    status: int | None = None


class UnreachableError(ServiceError):
    """No response: no connection, unknown host, TLS failure or timeout."""


class ThrottledError(ServiceError):
    """The service asks clients to retry later (429, 503).

    `retry_after_seconds` is the value of its `Retry-After` header, at most 15 minutes; None without a valid header.
    """

    is_transient = True

    def __init__(
        self, title: str, hint: str = "", *, cause: Cause | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(title, hint, cause=cause)
        self.retry_after_seconds = retry_after_seconds


class ServerError(ServiceError):
    """The service itself failed; this means neither "gone" nor "not yet"."""


class InvalidResponseError(ServiceError):
    """The response does not follow the contract (HTML, truncated JSON, wrong types)."""


class ForeignPageError(InvalidResponseError):
    """The response is no JSON at all: a page of maintenance, or of a proxy. No single upload is the reason."""

    is_transient = True


class NotConsistentError(ServiceError):
    """404 with the code `resource_not_consistent`: the resource exists but is not available yet."""

    is_transient = True


class BadRequestError(ServiceError):
    """400: the service rejects the request."""


class AuthError(ServiceError):
    """401 or 403: the credentials are missing, wrong, expired or insufficient."""

    exit_code = EXIT_AUTH


class NotFoundError(ServiceError):
    """404: the service has no such project or upload."""

    exit_code = EXIT_NOT_FOUND


class SourceError(ServiceError):
    """The command of a source failed, or did not list everything; the next run may succeed."""

    is_transient = True
    is_partial = True


class SourceAuthError(AuthError):
    """The command of a source says that its own credentials are not accepted."""


class SourceConfigError(SourceError):
    """The command of a source cannot work as it is configured: it does not exist, or it says so itself."""

    exit_code = EXIT_USAGE
    is_transient = False
    is_partial = False


def first_of_group(errors: BaseExceptionGroup[AnyError]) -> AnyError:
    """The first error of a group, which may be in groups inside it."""
    first = errors.exceptions[0]
    return first_of_group(first) if isinstance(first, BaseExceptionGroup) else first


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """`Did you mean X?` with the most similar known name; `otherwise` if there is none."""
    from difflib import get_close_matches

    nearest = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"Did you mean {nearest[0]}?" if nearest else otherwise

"""The whole error tree, and the exit codes that commands give.

Every error of the program is one of these; `cli` alone prints them and exits::

    UploadTuiError
    ├── UsageError                2    the command line is wrong
    │   └── SettingsError         2    a settings file, variable or profile is wrong
    ├── ServiceError              3    the service cannot be used just now
    │   ├── UnreachableError      3    no connection, no name, no TLS, no answer in time
    │   ├── ThrottledError             3    429 or 503: it asked us to come back later
    │   ├── ServerError          3    5xx, or a 404 that speaks of the service's own failure
    │   ├── InvalidResponseError       3    the answer is not what the contract says
    │   ├── NotConsistentError    3    404 `resource_not_consistent`: not yet, try again
    │   ├── AuthError       4    401 or 403
    │   ├── NotFoundError         5    404: no such project or upload
    │   └── BadRequestError          3    400: the service will not do what was asked
    ├── StorageError              2    a file of ours cannot be read or written
    │   ├── BusyStorageError      2    another process is busy with it: later it can
    │   │   └── StorageResetError  2  it failed, and another took its place: now it can
    │   ├── DamagedStorageError   2    it is damaged, or none of ours
    │   └── NewerStorageError     2    a newer upload-tui wrote it
    ├── StyleError                2    a style sheet is missing from the installation
    ├── InternalError              70    a fault of this program's own
    └── TimedOutError           124    still pending when the time was up

An error says what happened (`title`), to which URL or file, and what to do about it (`mend`). Neither may hold a token or a
signed URL; text from a service is made harmless where it is shown, not here.
"""

from typing import ClassVar, Self

__all__ = [
    "EXIT_INTERNAL_ERROR",
    "EXIT_OK",
    "EXIT_FAILED_UPLOAD",
    "EXIT_INTERRUPTED",
    "EXIT_AUTH",
    "EXIT_NOT_FOUND",
    "EXIT_TIMED_OUT",
    "EXIT_UNREACHABLE",
    "EXIT_USAGE",
    "ThrottledError",
    "BusyStorageError",
    "DamagedStorageError",
    "InternalError",
    "NewerStorageError",
    "AuthError",
    "NotConsistentError",
    "NotFoundError",
    "BadRequestError",
    "StorageResetError",
    "ServiceError",
    "SettingsError",
    "StorageError",
    "StyleError",
    "TimedOutError",
    "ServerError",
    "UnreachableError",
    "InvalidResponseError",
    "UploadTuiError",
    "UsageError",
]

EXIT_OK = 0
EXIT_FAILED_UPLOAD = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_AUTH = 4
EXIT_NOT_FOUND = 5
EXIT_INTERNAL_ERROR = 70
EXIT_TIMED_OUT = 124
EXIT_INTERRUPTED = 130


class UploadTuiError(Exception):
    """Something that a person can be told in one or two lines.

    Args:
        title: what happened, and to which URL or file; one sentence without a full stop.
        hint: what to do about it; empty if there is nothing to be done.
    """

    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, title: str, hint: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.hint = hint


class UsageError(UploadTuiError):
    """The command line asks for something that cannot be."""


class SettingsError(UsageError):
    """A setting is unknown, of the wrong type, or cannot be read."""


class StorageError(UploadTuiError):
    """A file of ours (store, journal, export) cannot be read or written."""


class BusyStorageError(StorageError):
    """Another process has been writing to a file of ours for longer than we wait; what we wanted to keep can be tried again."""


class StorageResetError(BusyStorageError):
    """A file of ours failed while something was kept in it, and another took its place: it can be tried again at once."""


class DamagedStorageError(StorageError):
    """A file of ours is damaged, or is another program's."""


class NewerStorageError(StorageError):
    """A newer upload-tui wrote a file of ours."""


class StyleError(UploadTuiError):
    """A style sheet that the dashboard needs is not part of this installation."""


class InternalError(UploadTuiError):
    """The program went wrong in itself; the cause is kept for `--debug`."""

    exit_code = EXIT_INTERNAL_ERROR

    @classmethod
    def from_exception(cls, cause: BaseException) -> Self:
        """The defect that showed itself as `cause`."""
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        error = cls(
            f"upload-tui went wrong in itself ({type(cause).__name__})", "Please report it, with the output of --debug."
        )
        error.__cause__ = cause
        return error


class TimedOutError(UploadTuiError):
    """The time was up while something was still pending."""

    exit_code = EXIT_TIMED_OUT


class ServiceError(UploadTuiError):
    """The service did not give what was asked for. `status` is its answer's HTTP status; None if no answer came."""

    exit_code = EXIT_UNREACHABLE
    status: int | None = None


class UnreachableError(ServiceError):
    """No answer came: no connection, no such name, no TLS, or no answer in time."""


class ThrottledError(ServiceError):
    """The service asked us to come back later (429, 503).

    `retry_after_seconds` is what its `Retry-After` header said, at most a quarter of an hour; None if it said nothing.
    """

    def __init__(self, title: str, hint: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(title, hint)
        self.retry_after_seconds = retry_after_seconds


class ServerError(ServiceError):
    """The service failed in itself: neither "gone" nor "not yet"."""


class InvalidResponseError(ServiceError):
    """An answer came, but it is not what the contract says (HTML, cut JSON, another type)."""


class NotConsistentError(ServiceError):
    """404 with the code `resource_not_consistent`: the thing is there but not yet to be seen."""


class BadRequestError(ServiceError):
    """400: the service understood and will not do it."""


class AuthError(ServiceError):
    """401 or 403: the credentials are missing, wrong, expired or not enough."""

    exit_code = EXIT_AUTH


class NotFoundError(ServiceError):
    """404: the service says that there is no such project or upload."""

    exit_code = EXIT_NOT_FOUND

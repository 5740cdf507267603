"""The exit code of a command that has done what it could: the only place that decides on it where no error was raised."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from upload_tui.errors import EXIT_FAILED_UPLOAD, EXIT_NOT_FOUND, EXIT_OK, EXIT_UNREACHABLE, UploadTuiError

if TYPE_CHECKING:
    from upload_tui.monitor import Outcome

__all__ = ["exit_code", "exit_code_of_outcomes"]


def exit_code(
    *,
    has_failed: bool = False,
    error: UploadTuiError | None = None,
    is_missing: bool = False,
    is_incomplete: bool = False,
) -> int:
    """The exit code of the first that applies.

    Args:
        has_failed: an upload failed, of those that the command judges.
        error: what was reported and not raised, because other data were shown; None if nothing was.
        is_missing: the service does not have a project or an upload that was asked for.
        is_incomplete: something that the service lists cannot be read.
    """
    if has_failed:
        return EXIT_FAILED_UPLOAD
    if error is not None:
        return error.exit_code
    if is_missing:
        return EXIT_NOT_FOUND
    return EXIT_UNREACHABLE if is_incomplete else EXIT_OK


def exit_code_of_outcomes(outcomes: "Iterable[Outcome]") -> int:
    """The exit code of uploads that were waited for."""
    from upload_tui.monitor import Outcome

    found = {*outcomes}
    return exit_code(
        has_failed=Outcome.MISSED in found,
        is_missing=Outcome.GONE in found,
        is_incomplete=Outcome.UNREADABLE in found,
    )

"""Errors of the API: each is an `ApiError`, and all have the same form on the wire."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from upload_tui.wire import CODE_NOT_CONSISTENT, CODE_NOT_PROVIDED

__all__ = [
    "TRY_LATER",
    "ApiError",
    "already_completed",
    "expired_token",
    "invalid_fields",
    "invalid_parameters",
    "not_consistent",
    "not_found",
    "purged",
    "storage_unavailable",
    "too_large",
    "unauthorized",
    "unexpected_error",
]

TRY_LATER = "try again in a few minutes, or contact the systems administrators"


class ApiError(Exception):
    """An error response: its status, headers and JSON body.

    Args:
        status: the HTTP status.
        reason: what is wrong.
        suggestion: what the client can do.
        code: `not_provided` or `resource_not_consistent`.
        errors: one `{"field": …, "message": …}` for each invalid field.
        headers: further response headers.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        suggestion: str = "",
        *,
        code: str = CODE_NOT_PROVIDED,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = dict(headers or {})
        self.body: dict[str, Any] = {"error": status, "code": code, "reason": reason, "suggestion": suggestion}
        if errors:
            self.body["errors"] = errors


def invalid_fields(**messages: str) -> ApiError:
    """400: well-formed fields with invalid values. A double underscore in a name stands for a dot."""
    errors = [{"field": field.replace("__", "."), "message": message} for field, message in messages.items()]
    return ApiError(400, "validation failed", "Fix the following invalid fields and resubmit", errors=errors)


def already_completed() -> ApiError:
    """400: the upload is completed, so nothing of it can change."""
    return invalid_fields(completed_at="Cannot change completed_at.")


def purged() -> ApiError:
    """400: the stored bytes of an upload that was never completed were deleted."""
    return ApiError(400, "the upload was purged before it was completed", "You must begin a new upload process")


def invalid_parameters(message: str) -> ApiError:
    """400: missing or malformed parameters. The body is one sentence alone: `name is missing, size is invalid`."""
    error = ApiError(400, message)
    error.body = {"error": message}
    return error


def not_found(kind: str) -> ApiError:
    """404: no such resource."""
    return ApiError(404, f"{kind} Not Found", f"you may have mistyped the {kind} id")


def not_consistent() -> ApiError:
    """404: the resource exists but is not available yet."""
    return ApiError(
        404,
        "resource changes are still being processed by system",
        "this is a temporary state that will eventually be resolved by the system; please retry request",
        code=CODE_NOT_CONSISTENT,
    )


def expired_token() -> ApiError:
    """401: the token has expired."""
    return ApiError(401, "expired api_token", "you need to login with your authenticaton service")


def unauthorized() -> ApiError:
    """403: the URL is not signed for this method and path, or has expired."""
    return ApiError(403, "Unauthorized", "request permission to access this resource")


def unexpected_error(error: Exception) -> ApiError:
    """500: an error that no endpoint handles. The response has no paths and values of this machine."""
    is_environment = isinstance(error, (sqlite3.Error, OSError))
    return ApiError(500, "The database is unavailable" if is_environment else "An internal error", TRY_LATER)


def storage_unavailable() -> ApiError:
    """500: the stored bytes cannot be read or written just now."""
    return ApiError(500, "The storage provider is unavailable", TRY_LATER)


def too_large(what: str, limit_bytes: int, status: int = 413) -> ApiError:
    """Refuse a request, or a part of it, that exceeds a limit."""
    return ApiError(status, f"request {what} too large", f"send at most {limit_bytes} bytes")

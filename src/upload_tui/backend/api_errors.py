"""The error envelope: every refusal of the service is a `ApiError`, and all of them look the same on the wire."""

from collections.abc import Mapping
from typing import Any

from upload_tui.wire import CODE_NOT_CONSISTENT, CODE_NOT_PROVIDED

__all__ = ["ApiError", "invalid_fields", "invalid_parameters", "not_consistent", "not_found"]


class ApiError(Exception):
    """A refusal: a status, and the envelope that goes with it.

    Args:
        status: the HTTP status.
        reason: what is wrong.
        suggestion: what the client may do.
        code: `not_provided` or `resource_not_consistent`.
        headers: further headers of the answer.
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
    """400: fields that were understood and are wrong; double underscores stand for dots."""
    errors = [{"field": field.replace("__", "."), "message": message} for field, message in messages.items()]
    return ApiError(400, "validation failed", "Fix the following invalid fields and resubmit", errors=errors)


def invalid_parameters(message: str) -> ApiError:
    """400: parameters that are missing or malformed come as one sentence alone: `name is missing, size is invalid`."""
    problem = ApiError(400, message)
    problem.body = {"error": message}
    return problem


def not_found(kind: str) -> ApiError:
    """404: there is no such thing."""
    return ApiError(404, f"{kind} Not Found", f"you may have mistyped the {kind} id")


def not_consistent() -> ApiError:
    """404: it is there, but not to be seen yet."""
    return ApiError(
        404,
        "resource changes are still being processed by system",
        "this is a temporary state that will eventually be resolved by the system; please retry request",
        code=CODE_NOT_CONSISTENT,
    )

"""The outermost layer of the service: paths in one form, and the error envelope for every error."""

import logging
import re
from collections.abc import Sequence

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from upload_tui.backend.api_errors import unexpected_error
from upload_tui.backend.endpoints.responses import LIMIT_HEADERS, PAGE_HEADERS, json_response
from upload_tui.wire import STATUS_SHAPE_HEADER

__all__ = ["EnvelopeMiddleware", "allow_origins"]

_AUTHORITY = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
"""The first part of an absolute-form target, which clients send to a proxy and every server has to accept."""
_REPEATED_SLASHES = re.compile("//+")

_logger = logging.getLogger(__name__)


class EnvelopeMiddleware:
    """An ASGI application around the service.

    It drops trailing slashes of a path, squeezes repeated ones and removes the authority of an absolute-form target. An error that
    no endpoint handles, such as a full disk or a damaged database, is logged without a traceback and gets a 500 in the service's
    envelope. Once a response has started, the error is raised again, so that the server closes the connection.

    Args:
        app: the service.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = normalize_path(scope["path"])
        has_started = is_complete = False

        async def watched(message: Message) -> None:
            nonlocal has_started, is_complete
            has_started = True
            is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            pass  # the client does not wait for a response
        except Exception as error:
            if has_started and not is_complete:
                raise
            _logger.error("%s %s: %s: %s", scope["method"], scope["path"], type(error).__name__, error)  # noqa: TRY400
            if not has_started:  # endpoints have responded already: the framework raises their errors again
                envelope = unexpected_error(error)
                await json_response(envelope.body, envelope.status)(scope, receive, send)


def allow_origins(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Wrap the service so that pages of some origins may call it from a browser; `*` stands for all.

    A page's script sees the headers of pages and limits as well. Credentials of the browser are not needed: a token is a header.
    """
    from starlette.middleware.cors import CORSMiddleware

    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Range", STATUS_SHAPE_HEADER],
        expose_headers=[*PAGE_HEADERS, *LIMIT_HEADERS, "Content-Disposition", "Content-Range", "Date", "Retry-After"],
    )


def normalize_path(path: str) -> str:
    """Return the path that endpoints are matched with."""
    return _REPEATED_SLASHES.sub("/", _AUTHORITY.sub("", path, count=1) if path[:1] != "/" else path).rstrip("/") or "/"

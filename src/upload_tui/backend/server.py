"""The service on a socket: how every server of it is set up, whether a person, a demo or a test runs it."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uvicorn

__all__ = ["http_server"]

_EVENT_BYTES = 256 * 1024
"""Headers up to this size reach the service, so that it is the service which refuses them, in its envelope."""


def http_server(app: Callable[..., Awaitable[Any]], log_level: str = "warning") -> "uvicorn.Server":
    """A server of the service's application, not yet running. Nothing it logs holds a token or a signed URL."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            h11_max_incomplete_event_size=_EVENT_BYTES,
            lifespan="off",
            log_level=log_level,
            access_log=False,  # signed URLs are secrets
            date_header=False,  # the service has a clock of its own
            server_header=False,
        )
    )

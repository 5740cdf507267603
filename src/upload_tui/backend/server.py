"""The uvicorn server that `serve`, the testing kit and tests share."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import uvicorn

__all__ = ["http_server"]

_EVENT_BYTES = 256 * 1024
"""Larger than the service's own limit for headers, so that the service rejects them in its error envelope."""


def http_server(app: Callable[..., Awaitable[Any]], log_level: str = "warning") -> "uvicorn.Server":
    """Create a server, not yet running. It logs no tokens and no signed URLs."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            h11_max_incomplete_event_size=_EVENT_BYTES,
            lifespan="off",
            log_level=log_level,
            access_log=False,  # signed URLs are secrets
            date_header=False,  # the service's clock sets the date
            server_header=False,
        )
    )

"""The demo in a browser: each visitor gets a demo of their own, from this machine alone. Needs the extra `web`."""

import shlex
import socket
from collections.abc import Sequence
from typing import Any

import click

from upload_tui.errors import UsageError

__all__ = ["serve_in_browser"]

_HOST = "127.0.0.1"


def serve_in_browser(command: Sequence[str], port: int) -> None:
    """Serve what a command shows until interrupted; port 0 picks a free one. The URL is the first line of the output.

    Raises:
        UsageError: the extra is not installed, or the port is taken.
    """
    try:
        import textual_serve  # noqa: F401  # asked for before anything is promised
    except ImportError as error:
        raise UsageError(
            "The demo in a browser needs textual-serve", "Install it: pip install 'upload-tui[web]'."
        ) from error
    _site(shlex.join(command), _free_port(port)).serve()


def _free_port(port: int) -> int:
    """The port, or a free one for 0; whoever opens it later says its number, so it is looked for here."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise UsageError(f"Port {port} of {_HOST} cannot be opened", "Choose another --port, or 0.") from error
        number: int = probe.getsockname()[1]
    return number


def _site(command: str, port: int) -> Any:
    from aiohttp import web
    from textual_serve.server import Server

    class Site(Server):  # type: ignore[misc]  # an extra, which the check does not look into
        """Says one line, asks no other machine for fonts, and lets no other site's scripts in."""

        def initialize_logging(self) -> None:
            """No log on the screen."""

        async def on_startup(self, app: Any) -> None:
            click.echo(self.public_url)

        async def _make_app(self) -> Any:
            app = await super()._make_app()
            app.on_response_prepare.append(self._keep_to_itself)
            return app

        async def _keep_to_itself(self, request: Any, response: Any) -> None:
            policy = f"default-src 'self' 'unsafe-inline' data:; connect-src 'self' ws://{_HOST}:{port}"
            response.headers["Content-Security-Policy"] = policy

        async def handle_websocket(self, request: Any) -> Any:
            if request.headers.get("Origin") not in {None, self.public_url}:
                raise web.HTTPForbidden
            return await super().handle_websocket(request)

    return Site(command, host=_HOST, port=port, title="upload-tui demo")

"""The demo in a browser: each visitor gets a demo of their own, from this machine alone. Needs the extra `web`."""

import asyncio
import shlex
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from upload_tui.cli.commands.serve import open_listener
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
    asyncio.run(_serve(shlex.join(command), open_listener(_HOST, port)))


async def _serve(command: str, listener: socket.socket) -> None:
    from aiohttp import web

    site = _site(command, listener.getsockname()[1])
    runner = web.AppRunner(await site.app(), shutdown_timeout=1.0)
    await runner.setup()
    ended = asyncio.Event()
    with suppress(NotImplementedError):  # Windows has no such signal
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    try:
        await web.SockSite(runner, listener).start()
        click.echo(site.public_url)
        await ended.wait()
    finally:  # with the visitors' demos, which are processes of their own
        await runner.cleanup()


def _site(command: str, port: int) -> Any:
    from aiohttp import web
    from textual_serve.server import Server

    class Site(Server):  # type: ignore[misc]  # an extra, which the check does not look into
        """Asks no other machine for fonts, and lets no other site's scripts in."""

        async def app(self) -> Any:
            app = await self._make_app()
            app.on_response_prepare.append(self._keep_to_itself)
            return app

        async def on_startup(self, app: Any) -> None:
            """Says nothing: the one line to be said is the caller's."""

        async def _keep_to_itself(self, request: Any, response: Any) -> None:
            policy = f"default-src 'self' 'unsafe-inline' data:; connect-src 'self' ws://{_HOST}:{port}"
            response.headers["Content-Security-Policy"] = policy

        async def handle_websocket(self, request: Any) -> Any:
            if request.headers.get("Origin") not in {None, self.public_url}:
                raise web.HTTPForbidden
            return await super().handle_websocket(request)

    return Site(command, host=_HOST, port=port, title="upload-tui demo")

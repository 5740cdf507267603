"""Serves the demo to browsers on this machine; each browser gets a demo of its own. Needs the extra `web`."""

import asyncio
import shlex
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from upload_tui.cli.support.listener import open_listener
from upload_tui.errors import UsageError

__all__ = ["serve_in_browser"]

_HOST = "127.0.0.1"


def serve_in_browser(command: Sequence[str], port: int) -> None:
    """Serve a command until interrupted and print the URL; port 0 picks a free one.

    Raises:
        UsageError: the extra is not installed, or the port cannot be opened.
    """
    try:
        import textual_serve  # noqa: F401  # fail before the port is opened
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
    finally:  # also ends the demos, which run in processes of their own
        await runner.cleanup()


def _site(command: str, port: int) -> Any:
    from aiohttp import web
    from textual_serve.server import Server

    class Site(Server):  # type: ignore[misc]  # untyped, and an extra
        """Load no fonts from other machines, and reject WebSockets from other sites."""

        async def app(self) -> Any:
            app = await self._make_app()
            app.on_response_prepare.append(self._add_policy)
            return app

        async def on_startup(self, app: Any) -> None:
            """Print nothing: the caller prints the URL."""

        async def _add_policy(self, request: Any, response: Any) -> None:
            policy = f"default-src 'self' 'unsafe-inline' data:; connect-src 'self' ws://{_HOST}:{port}"
            response.headers["Content-Security-Policy"] = policy

        async def handle_websocket(self, request: Any) -> Any:
            if request.headers.get("Origin") not in {None, self.public_url}:
                raise web.HTTPForbidden
            return await super().handle_websocket(request)

    return Site(command, host=_HOST, port=port, title="upload-tui demo")

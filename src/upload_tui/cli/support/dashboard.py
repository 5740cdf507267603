"""Runs the dashboard on this terminal or in browsers."""

import asyncio
import gc
import os
import shlex
import socket
import sys
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from upload_tui.cli.support.preferences import save_state
from upload_tui.cli.support.signals import current_signals, run_async
from upload_tui.cli.support.visits import VisitKey
from upload_tui.errors import EXIT_OK, StorageError, UsageError
from upload_tui.files import failure_reason

if TYPE_CHECKING:
    from upload_tui.tui import UploadApp

__all__ = ["require_terminal", "run_dashboard", "serve_in_browser"]


def require_terminal() -> None:
    """Check that there is a terminal, and prepare the process for a fast first frame.

    Raises:
        UsageError: standard input or output is not a terminal, or a variable of Textual is invalid.
    """
    _check_textual_variables(os.environ)
    has_driver = "TEXTUAL_DRIVER" in os.environ  # Textual then draws in a browser, for example
    if not has_driver and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("The dashboard needs a terminal", "Run it in one, without pipes.")
    if not has_driver:
        _correct_variables(os.environ)
    # Halves the time until the second message of a key press is painted, such as what a search finds. Textual reads this when it is
    # imported; an idle dashboard paints nothing.
    os.environ.setdefault("TEXTUAL_FPS", "120")
    # Imports make many objects that stay; garbage collections of them take a tenth of the start. The app enables it again.
    gc.disable()


_COLOUR_SYSTEMS = ("auto", "standard", "256", "truecolor", "windows")


def _check_textual_variables(environment: MutableMapping[str, str]) -> None:
    """Remove empty variables of Textual, and check those that it could only crash on.

    Raises:
        UsageError: one is invalid.
    """
    for name in [name for name, value in environment.items() if name.startswith("TEXTUAL") and not value]:
        del environment[name]
    if (driver := environment.get("TEXTUAL_DRIVER")) and not _is_driver(driver):
        raise UsageError("TEXTUAL_DRIVER names no driver of Textual", "Unset it.")
    if environment.get("TEXTUAL_COLOR_SYSTEM", "auto") not in _COLOUR_SYSTEMS:
        raise UsageError("TEXTUAL_COLOR_SYSTEM is unknown", f"Unset it, or use one of {', '.join(_COLOUR_SYSTEMS)}.")
    if log := environment.get("TEXTUAL_LOG"):
        try:
            open(log, "a", encoding="utf-8").close()  # noqa: PTH123  # as Textual opens it
        except (OSError, ValueError) as error:
            reason = failure_reason(error)
            raise UsageError(f"TEXTUAL_LOG cannot be written: {reason}", "Correct or unset it.") from error


def _is_driver(name: str) -> bool:
    from importlib import import_module

    module, _, driver = name.partition(":")
    try:
        return isinstance(getattr(import_module(module), driver, None), type)
    except (ImportError, ValueError, TypeError):  # not there, empty, or relative
        return False


def _correct_variables(environment: MutableMapping[str, str]) -> None:
    """Remove variables that Textual misreads: an empty NO_COLOR is not set, and the terminal knows its size best."""
    if not environment.get("NO_COLOR"):
        environment.pop("NO_COLOR", None)
    with suppress(OSError):
        size = os.get_terminal_size(sys.stdout.fileno())
        if size.columns and size.lines:
            environment.pop("COLUMNS", None)
            environment.pop("LINES", None)


async def run_dashboard(app: "UploadApp", key: VisitKey) -> int:
    """Run the dashboard until it ends, save how it was left, and return the exit code.

    Raises:
        UploadTuiError: the error that ended the dashboard.
    """
    signals = current_signals()
    with signals.responding(lambda: app.request_exit(signals.exit_code(EXIT_OK))):  # Textual swallows a cancellation
        code = await app.run_async()
        await app.wait_for_session()
    if app.screen_state is not None:
        with suppress(StorageError):  # the next session begins with the defaults
            save_state(key, app.screen_state)
    if app.failure is not None:
        raise app.failure
    return EXIT_OK if code is None else code


_HOST = "127.0.0.1"


def serve_in_browser(command: Sequence[str], port: int) -> None:
    """Serve a command until interrupted and print the URL; port 0 picks a free one.

    Raises:
        UsageError: the extra is not installed, or the port cannot be opened.
    """
    from upload_tui.cli.support.listener import open_listener

    try:
        import textual_serve  # noqa: F401  # fail before the port is opened
    except ImportError as error:
        raise UsageError(
            "The demo in a browser needs textual-serve", "Install it: pip install 'upload-tui[web]'."
        ) from error
    run_async(_serve(shlex.join(command), open_listener(_HOST, port)))


async def _serve(command: str, listener: socket.socket) -> None:
    from aiohttp import web

    site = _site(command, listener.getsockname()[1])
    runner = web.AppRunner(await site.app(), shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        click.echo(site.public_url)
        await asyncio.Event().wait()  # until a signal cancels it
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

"""Runs a command in the test's own process, which is faster than a process and lets a test replace a library."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.programs import Response, Result, ScriptedService
from upload_tui.cli.group import run as run_program
from upload_tui.redaction import forget_secrets

__all__ = ["interrupting_at_request", "run_here"]


def run_here(capture: pytest.CaptureFixture[str], *arguments: str) -> Result:
    """Run the program to its end; standard output and standard error are no terminals."""
    capture.readouterr()
    forget_secrets()
    with _own_logging(), pytest.raises(SystemExit) as ending:
        run_program([*arguments])
    captured = capture.readouterr()
    return Result(int(ending.value.code or 0), captured.out, captured.err)


@contextmanager
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    try:
        yield
    finally:
        for handler in {*root.handlers} - {*handlers}:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)


@contextmanager
def interrupting_at_request(service: ScriptedService, number: int) -> Iterator[None]:
    """Interrupt this process at a request (from 1) inside the context, as Ctrl+C does."""
    respond = service.respond
    seen = len(service.requests)

    def respond_or_interrupt(method: str, path: str, token: str) -> Response:
        if len(service.requests) - seen == number - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return respond(method, path, token)

    service.respond = respond_or_interrupt  # type: ignore[method-assign]
    try:
        yield
    finally:
        service.respond = respond  # type: ignore[method-assign]

"""Runs `upload-tui` with a name server or a keyring that does not answer; closes the pipe `WAITING` once it is asked."""

import os
import socket
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

from upload_tui.cli import main as run


def _wait(*_: Any, **__: Any) -> Any:
    Path(os.environ["WAITING"]).open("wb").close()
    threading.Event().wait()


def main() -> None:
    """Run the command line."""
    socket.getaddrinfo = _wait
    keyring, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    keyring.get_password = _wait  # type: ignore[attr-defined]
    errors.KeyringError = OSError  # type: ignore[attr-defined]
    sys.modules |= {"keyring": keyring, "keyring.errors": errors}
    run()

"""A service of the real kind: another process, a real port."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def served() -> Iterator[dict[str, Any]]:
    """What `serve --json` says of itself."""
    with subprocess.Popen(
        [sys.executable, "-m", "upload_tui", "serve", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()

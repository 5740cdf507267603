"""The gallery of widgets on a real terminal, and without one."""

import subprocess
import sys

import pytest

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.e2e
MODULE = "upload_tui.testing.gallery"


def test_gallery_shows_every_widget() -> None:
    with Terminal(program=(sys.executable, "-m", MODULE)) as terminal:
        terminal.wait_until(lambda text: "scan-0001.tiff" in text)
        for key, words in (("2", "The worker is stopped."), ("3", "▲ stuck"), ("4", "missing: 3")):
            terminal.press(key)
            terminal.wait_until(lambda text, words=words: words in text)  # type: ignore[misc]
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert b"Traceback" not in terminal.painted


def test_gallery_needs_a_terminal() -> None:
    result = subprocess.run([sys.executable, "-m", MODULE], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "The gallery needs a terminal. Run it in one, without a pipe.\n"

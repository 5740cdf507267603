"""The demo on a real terminal, large and small."""

import pytest

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 60)], ids=["80x24", "200x60"])
def test_every_stage_and_a_reason_are_seen_when_the_demo_runs(columns: int, lines: int) -> None:
    with Terminal("demo", "--speed", "8", columns=columns, lines=lines) as terminal:
        stages = ("initiated", "completed", "verified", "error")
        terminal.wait_until(lambda text: all(stage in text for stage in stages) and "live" in text)
        reasons = ("does not match", "bad chunk hash", "bad file hash", "wrong size")
        terminal.wait_until(lambda text: any(reason in text for reason in reasons))
        terminal.press("?")
        terminal.wait_until(lambda text: "Esc closes" in text)
        terminal.press("\x1b")
        terminal.wait_until(lambda text: "Esc closes" not in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert b"Traceback" not in terminal.painted


def test_a_smaller_picture_is_painted_when_the_terminal_is_tiny() -> None:
    with Terminal("demo", columns=20, lines=5) as terminal:
        text = terminal.wait_until(lambda text: "live" in text and "○" in text)
        assert all(len(line) <= 20 for line in text.splitlines())
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_the_picture_follows_when_the_terminal_changes_its_size() -> None:
    with Terminal("demo", columns=120, lines=40) as terminal:
        terminal.wait_until(lambda text: "Timeline" in text)
        terminal.resize(80, 24)
        terminal.wait_until(lambda text: "Timeline" not in text and "Tail" in text)
        terminal.resize(200, 60)
        terminal.wait_until(lambda text: "Timeline" in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0

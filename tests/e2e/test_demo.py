"""The demo on a real terminal, large and small."""

from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 60)], ids=["80x24", "200x60"])
def test_demo_shows_every_stage_and_an_error(columns: int, lines: int) -> None:
    with Terminal("demo", "--speed", "8", columns=columns, lines=lines) as terminal:
        stages = ("initiated", "completed", "verified", "error")
        terminal.wait_until(lambda text: all(stage in text for stage in stages) and "live" in text)
        reasons = ("does not match", "bad chunk hash", "bad file hash", "wrong size")
        terminal.wait_until(lambda text: any(reason in text for reason in reasons))
        terminal.press("?")
        terminal.wait_until(lambda text: "Esc close" in text)
        terminal.press("\x1b")
        terminal.wait_until(lambda text: "Esc close" not in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert b"Traceback" not in terminal.painted


@pytest.mark.parametrize(
    "environment", [{"LC_ALL": "C"}, {"UPLOAD_TUI_SIGNS": "ascii"}], ids=["plain-locale", "plain-signs"]
)
def test_only_ascii_is_painted_in_an_ascii_locale_or_by_setting(environment: dict[str, str]) -> None:
    with Terminal("demo", "--speed", "8", environment=environment) as terminal:
        terminal.wait_until(lambda text: "live" in text and "verified" in text and "^p Commands" in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert terminal.painted.isascii()


def test_demo_uses_display_settings_and_needs_no_service(home: Path) -> None:
    file = home / "xdg_config_home" / "upload-tui" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(
        '[profiles.work]\nurl = "http://dds.test"\ntoken_file = "/nowhere"\ncolumns = ["name", "took"]\nkeys = { quit = "Q" }\n'
    )
    with Terminal("demo", columns=200) as terminal:
        terminal.wait_until(lambda text: "live" in text and "Took" in text and "Q Quit" in text)
        terminal.press("Q")
        assert terminal.wait_for_end() == 0


def test_demo_reports_invalid_display_settings() -> None:
    with Terminal("demo", environment={"UPLOAD_TUI_THEME": "upload-drak"}) as terminal:
        assert terminal.wait_for_end() == 2
    assert "there is no theme upload-drak. Did you mean upload-dark?" in " ".join(terminal.text.split())


def test_tiny_terminal_shows_a_small_layout() -> None:
    with Terminal("demo", columns=20, lines=5) as terminal:
        text = terminal.wait_until(lambda text: "live" in text and "○" in text)
        assert all(len(line) <= 20 for line in text.splitlines())
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_layout_follows_the_size_of_the_terminal() -> None:
    with Terminal("demo", columns=120, lines=40) as terminal:
        terminal.wait_until(lambda text: "Timeline" in text)
        terminal.resize(80, 24)
        terminal.wait_until(lambda text: "Timeline" not in text and "Activity" in text)
        terminal.resize(200, 60)
        terminal.wait_until(lambda text: "Timeline" in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0

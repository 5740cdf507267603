"""What was recorded of a real service is replayed in the dashboard, on a real terminal."""

import json
import signal
from pathlib import Path

import pytest

from tests.e2e.programs import PROGRAM, run, serving, started
from tests.e2e.terminal import Terminal

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few seconds of a story in which uploads are corrupt, recorded until somebody interrupts."""
    file = tmp_path_factory.mktemp("journal") / "corrupt.jsonl"
    with (
        serving("--scenario", "corrupt", "--speed", "8") as service,
        started("record", str(file), environment=service.environment) as process,
    ):
        assert process.stderr is not None
        file.with_name("token").write_text(service.environment["UPLOAD_TUI_TOKEN"])
        assert "Ctrl+C ends it" in process.stderr.readline()
        while not (file.exists() and '"to":"error"' in file.read_text().replace(" ", "")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    return file


def test_every_line_is_json_and_no_line_has_the_token(journal: Path) -> None:
    text = journal.read_text()
    assert len([json.loads(line) for line in text.splitlines()]) > 5
    assert journal.with_name("token").read_text() not in text


def test_it_is_replayed_with_the_pace_in_the_persons_hands(journal: Path) -> None:
    with Terminal("replay", str(journal), "--speed", "0.25") as terminal:
        terminal.wait_until(lambda text: "0.25 times speed" in text)
        terminal.press("]")
        terminal.wait_until(lambda text: "0.5 times speed" in text)
        terminal.press("]]]]]]")
        terminal.wait_until(lambda text: "✗ error" in text and "does not match" in text)
        assert "New" not in terminal.text.splitlines()[-1]
        assert "Break" not in terminal.text.splitlines()[-1]
        terminal.press("q")
        assert terminal.wait_for_end() == 0
    assert b"Traceback" not in terminal.painted


def test_it_begins_later_when_it_is_asked_to(journal: Path) -> None:
    with Terminal("replay", str(journal), "--from", "3600") as terminal:
        terminal.wait_until(lambda text: "✗ error" in text and "does not match" in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "nowhere.jsonl"),
        ("", "nowhere.jsonl"),
        ('{"no": "journal"}\n', "nowhere.jsonl"),
        ("\x00\xff", "nowhere.jsonl"),
    ],
    ids=["missing", "empty", "something-else", "no-text"],
)
def test_one_sentence_says_it_when_there_is_no_journal(tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "nowhere.jsonl"
    if text is not None:
        file.write_bytes(text.encode("latin-1"))
    with Terminal("replay", str(file), columns=200) as terminal:
        assert terminal.wait_for_end() == 2
        assert words in terminal.left_behind
        assert len(terminal.left_behind) < 400


def test_a_record_of_another_time_is_not_written_over(journal: Path) -> None:
    with serving() as service:
        before = journal.read_bytes()
        ended = run("record", str(journal), environment=service.environment)
        assert ended.code == 2
        assert str(journal) in ended.err
        assert journal.read_bytes() == before


def test_a_terminal_is_asked_for_when_a_replay_has_none(journal: Path) -> None:
    ended = run("replay", str(journal), program=(PROGRAM,))
    assert ended.code == 2
    assert "terminal" in ended.err

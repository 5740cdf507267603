"""The fuzzer's own arguments and messages."""

import shlex
from pathlib import Path

import pytest

from tests.fuzz.__main__ import main
from tests.fuzz.targets import TARGETS


def test_a_failure_names_its_seed_and_the_command_that_repeats_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def divide(data: bytes) -> float:
        return 1 / (len(data) % 3)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(TARGETS, "broken", divide)
    monkeypatch.setitem(TARGETS, "right", len)
    monkeypatch.setattr("tests.fuzz.__main__.atheris", None)
    assert main(["right", "--seconds", "0.01", "--seed", "5"]) == 0
    assert main(["broken", "--seed", "5"]) == 1
    *_, where, command = capsys.readouterr().err.splitlines()
    assert "of seed 5" in where
    with pytest.raises(ZeroDivisionError):
        main(shlex.split(command.partition("tests.fuzz ")[2]))


@pytest.mark.parametrize(
    "arguments",
    [
        "nosuch",
        "nosuch:test",
        "queries --seconds nan",
        "queries --seconds 0",
        "all --file {0}",
        "queries --file {0}/no",
    ],
)
def test_a_wrong_argument_is_refused_with_a_sentence(
    arguments: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "input").touch()
    with pytest.raises(SystemExit, match="2"):
        main(arguments.format(tmp_path / "input").split())
    assert "error: " in capsys.readouterr().err.splitlines()[-1]

"""What the shells are offered."""

from collections.abc import Sequence

import pytest

from upload_tui.cli.group import run

STAGES = {"initiated", "completed", "verified", "error"}


def offered(
    shell: str, words: Sequence[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> set[str]:
    """The completions of the last of the words, as the shell splits them."""
    monkeypatch.setenv("_UPLOAD_TUI_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["upload-tui", *words]))
    monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words)))
    with pytest.raises(SystemExit) as ended:
        run([])
    assert ended.value.code == 0
    lines = capfd.readouterr().out.splitlines()
    if shell == "zsh":  # type, value, help
        return set(lines[1::3])
    return {line.partition(",")[2].partition("\t")[0] for line in lines}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    "options",
    [[], ["--profile", "work"], ["--profile=work"], ["--insecure-http"], ["--debug"], ["--debug", "--url", "u"]],
    ids=" ".join,
)
def test_a_command_is_offered_after_global_options(
    shell: str, options: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert offered(shell, [*options, "li"], monkeypatch, capfd) == {"list"}


@pytest.mark.parametrize(
    "words",
    [
        ["--url", "http", ":", "//localhost", ":", "1"],
        ["--url", "=", "https", ":", "//dds.test"],
        ["--url", "http", ":", "//[", "::", "1]"],
        ["--profile", "a", "--project", "b", ":", "c"],
    ],
    ids="".join,
)
def test_a_command_is_offered_after_a_value_that_bash_splits(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert offered("bash", [*words, "proj"], monkeypatch, capfd) == {"projects"}


def test_no_command_is_offered_as_the_value_of_an_option(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "list" not in offered("bash", ["--profile", "li"], monkeypatch, capfd)


@pytest.mark.parametrize(
    ("shell", "words", "expected"),
    [
        ("bash", ["list", "--stage", "v"], {"verified"}),
        ("bash", ["list", "--stage", "=", "v"], {"verified"}),
        ("bash", ["list", "--stage", "="], STAGES),
        ("zsh", ["list", "--stage=v"], {"--stage=verified"}),
        ("fish", ["list", "--stage=v"], {"--stage=verified"}),
        ("fish", ["--profile", "work", "list", "--stage="], {f"--stage={stage}" for stage in STAGES}),
    ],
)
def test_values_are_offered_in_the_form_that_the_shell_replaces(
    shell: str,
    words: list[str],
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert offered(shell, words, monkeypatch, capfd) == expected

"""The README agrees with the program: its tables are complete, and its recipes run."""

import json
import os
import re
import select
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tests.e2e.programs import PROGRAM, TIMEOUT_SECONDS, Served, run, serving, started
from tests.e2e.terminal import Terminal
from tests.formats.readme import with_tables
from tests.tui.dashboards import mixed, names_in, opened, until
from upload_tui import errors
from upload_tui.cli.group import upload_tui
from upload_tui.cli.support.preferences import dashboard_preferences
from upload_tui.errors import EXIT_CODES
from upload_tui.settings import Flags, SettingsPaths, read_settings
from upload_tui.tui import CommandResult, Preferences, ProgramRun, action_ids
from upload_tui.tui.bindings import ALL_KEYS, TAIL_KEYS, TIMELINE_KEYS, key_label

pytestmark = pytest.mark.e2e

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
COMMON = {
    "--url",
    "--command",
    "--project",
    "--profile",
    "--token-file",
    "--insecure-http",
    "--debug",
    "--output",
    "-o",
    "--fields",
    "--help",
    "-h",
}
NAMES_OF_RECIPES = {
    "watch",
    "wait",
    "alert",
    "query",
    "acknowledged",
    "view",
    "open",
    "talk",
    "serve",
    "completion",
    "record",
}
RECIPES_ELSEWHERE = {"s3", "ocis", "api", "folder", "prometheus", "rules"}
"""Tested in `test_sources`, `test_s3` and `test_metrics`."""


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = re.search(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    assert table is not None
    lines = table[0].splitlines()[2:]
    return [[cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def recipe(name: str) -> str:
    found = re.search(rf"<!-- recipe: {name} -->\n```(?:sh|toml)\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    with serving() as served:
        yield served


# The tables


def commands() -> dict[str, click.Command]:
    context = click.Context(upload_tui)
    found = {name: upload_tui.get_command(context, name) for name in upload_tui.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def options_of(command: click.Command) -> set[str]:
    return {text for param in command.params if isinstance(param, click.Option) for text in param.opts}


def test_every_command_and_option_is_in_the_readme() -> None:
    documented = {code(does)[0].split()[1]: set(code(options)) for does, _, options in rows("Commands")}
    actual = {name: options_of(command) - COMMON for name, command in commands().items()}
    assert documented == actual


def test_readme_has_no_unknown_options() -> None:
    of_jq = {"--arg", "--argjson"}
    known = COMMON.union(of_jq, *map(options_of, commands().values()))
    for_users = README.split("## Install")[1].split("## For developers")[0]
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", for_users)) <= known


def test_subcommands_and_choices_are_in_the_readme() -> None:
    documented = {code(does)[0].split()[1]: code(does)[0].split()[2:] for does, _, _ in rows("Commands")}
    source = commands()["source"]
    assert isinstance(source, click.Group)
    assert set(documented["source"][0].split("|")) == set(source.commands)
    config, completions = commands()["config"], commands()["completions"].params[0].type
    assert isinstance(config, click.Group)
    assert isinstance(completions, click.Choice)
    assert set(documented["config"][0].split("|")) == set(config.commands)
    assert documented["completions"][0].split("|") == list(completions.choices)


def test_the_tables_of_the_program_are_in_the_readme() -> None:
    """Settings, exit codes and metrics; `python -m tests.formats.readme` writes them."""
    assert with_tables(README) == README
    assert with_tables(README.replace("| `url` | `UPLOAD_TUI_URL` |", "| `url` | |")) == README


def test_exit_codes_are_described_in_the_help() -> None:
    assert set(EXIT_CODES) == {value for name, value in vars(errors).items() if re.match(r"EXIT_(?!CODES)", name)}
    help_words = run("--help").out.split("Exit codes:")[1]
    squeezed = re.sub(r"\s+", "", help_words)
    assert squeezed == "".join(re.sub(r"\s+", "", f"{number}{meaning}") for number, meaning in EXIT_CODES.items())


ADD_A_KEY = """
import os, sys
from importlib.util import find_spec, module_from_spec
from pathlib import Path

spec = find_spec("upload_tui.settings.keys")
sys.modules[spec.name] = keys = module_from_spec(spec)
end = "\\n)\\n\\nVARIABLES"
exec(Path(spec.origin).read_text().replace(end, "\\n    " + sys.argv[1] + end), vars(keys))
from upload_tui.cli.group import upload_tui
from upload_tui.errors import SettingsError
for words in ("init", "show -o json", "schema"):
    upload_tui.main(["config", *words.split()], standalone_mode=False)
    print("---")
upload_tui.main("config show --nap 9 -o json".split(), standalone_mode=False)
print("---")
try:
    upload_tui.main("config show --nap soon".split())
except SettingsError as error:
    print(error.title)
print("---")
os.environ["UPLOAD_TUI_NAP"] = "soon"
try:
    upload_tui.main(["config", "show"])
except SettingsError as error:
    sys.exit(error.title)
"""


def test_a_setting_is_added_in_one_place() -> None:
    """A line more in the table, and the program has the setting everywhere."""
    line = 'Key("nap", "how long to rest, in seconds", "5", kind="seconds", default=3.0, flag="--nap"),'
    result = run("-c", ADD_A_KEY, line, program=(sys.executable,), environment={"UPLOAD_TUI_NAP": "7"})
    template, shown, schema, flagged, wrong = result.out.split("---\n")[:5]
    settings = [record for text in (shown, flagged) for record in json.loads(text) if record["setting"] == "nap"]
    assert settings == [
        {"setting": "nap", "value": 7.0, "from": "UPLOAD_TUI_NAP"},
        {"setting": "nap", "value": 9.0, "from": "command line"},
    ]
    assert "--nap has an invalid nap" in wrong
    assert "## how long to rest, in seconds\n# nap = 5\n" in Path(template.strip()).read_text()
    entry = json.loads(schema)["$defs"]["Profile"]["properties"]["nap"]
    assert (entry["description"], entry["type"]) == ("how long to rest, in seconds", "number")
    assert "UPLOAD_TUI_NAP has an invalid nap" in result.err


def test_keys_are_described_as_in_the_help() -> None:
    documented = [(code(keys), does, "".join(code(key_id))) for keys, does, key_id in rows("Keys")]
    bound = [
        ([key_label(key) for key in binding.key.split(",")], binding.tooltip, binding.id)
        for binding in ALL_KEYS
        if binding not in {*TAIL_KEYS, *TIMELINE_KEYS}
    ]
    assert documented == bound
    labels = {label for keys, _, _ in documented for label in keys}
    assert {key_label(key) for binding in TAIL_KEYS for key in binding.key.split(",")} <= labels


def test_every_action_id_is_in_the_readme() -> None:
    documented = set(code(README.split("\n## Keys\n")[1].split("\n## ")[0]))
    assert {action for action in action_ids() if not action.startswith(("activity.", "timeline."))} <= documented


SURFACE = (
    "j k ↓ ↑ / g G Home End Esc PgUp PgDn ^u ^d 1 2 3 4 Enter ! Tab s S f p Space r y Y w e m C l t d ? ^p q n N E W a c J ^c v o "
    "u x [ ] ."
)


def test_every_documented_key_is_in_the_readme() -> None:
    assert set(SURFACE.split()) <= {label for keys, _, _ in rows("Keys") for label in code(keys)}


# The recipes


def test_every_recipe_has_a_test() -> None:
    assert set(re.findall(r"<!-- recipe: (\w+) -->", README)) == NAMES_OF_RECIPES | RECIPES_ELSEWHERE


def shell(script: str, folder: Path, environment: dict[str, str]) -> "subprocess.Popen[str]":
    path = os.pathsep.join([str(Path(PROGRAM).parent), os.environ["PATH"]])
    return subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, **environment, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def on_a_terminal(script: str) -> list[str]:
    """The arguments of a recipe with one command."""
    (words,) = [shlex.split(line) for line in script.splitlines()]
    assert words[0] == "upload-tui"
    return words[1:]


def test_recipe_watch(service: Served) -> None:
    service.begin("watched.bin")
    words = on_a_terminal(recipe("watch").replace("My project", "Demo project"))
    with Terminal(*words, environment=service.environment) as terminal:
        terminal.wait_until(lambda text: "watched.bin" in text and "live" in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def preferences_of(name: str, folder: Path, profile: str = "") -> Preferences:
    """The preferences of a settings file with a recipe; `profile` is written before it."""
    file = folder / "config.toml"
    file.write_text(f"{profile}{recipe(name)}")
    settings = read_settings({}, Flags({"url": "https://dds.example.org"}), SettingsPaths(file, folder / "none"))
    return dashboard_preferences(settings)


async def test_recipe_view(tmp_path: Path) -> None:
    preferences = preferences_of("view", tmp_path)
    async with opened(mixed(), views=preferences.views) as (pilot, _, table):
        await pilot.press("f2")
        await pilot.pause()
        assert "view night" in str(table.border_title)
        assert [str(column) for column in table.column_specs] == ["name", "since", "note"]
        assert names_in(table) == ["d-error", "e-stuck"]


async def test_recipe_open(tmp_path: Path) -> None:
    runs: list[ProgramRun] = []

    async def run_program(name: str, run: ProgramRun) -> CommandResult:
        runs.append(run)
        return CommandResult(f"{name}: exit code 0", is_ok=True)

    found = preferences_of("open", tmp_path)
    options: dict[str, Any] = {"commands": found.commands, "upload_url": found.upload_url, "run_program": run_program}
    async with opened(mixed(), **options) as (pilot, _, table):
        await pilot.press("o")
        await until(pilot, lambda: len(runs) == 1)
        row = table.window.row(0)
        assert row is not None
        assert runs[0].arguments[1:] == (f"https://dds.example.org/ui/{row.project_id}/{row.id}",)
        await pilot.press("E", "b", "j", "enter")
        await until(pilot, lambda: len(runs) == 2)
        assert runs[1].arguments == ("notify-send", "--", "d-error", "reported size does not match")
    (hook,) = found.on_change
    assert hook.where.text == "stage:verified name:.bam"


@pytest.mark.parametrize("name", ["query", "acknowledged"])
def test_recipe_of_a_query(service: Served, name: str) -> None:
    service.finish(service.begin(), is_corrupt=True)
    result = run(*on_a_terminal(recipe(name)), environment=service.environment)
    assert (result.code, result.err) == (0, "")
    assert all(record["acknowledged"] is (name == "acknowledged") for record in result.records)


@pytest.mark.parametrize(("is_corrupt", "expected"), [(False, 0), (True, 1)], ids=["verified", "failed"])
def test_recipe_wait(service: Served, tmp_path: Path, is_corrupt: bool, expected: int) -> None:
    upload_id = service.finish(service.begin(), is_corrupt=is_corrupt)
    with shell(recipe("wait"), tmp_path, {**service.environment, "UPLOAD_ID": upload_id}) as process:
        out, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == expected
    assert upload_id in out


def test_recipe_alert(service: Served, tmp_path: Path) -> None:
    noted = tmp_path / "failures.jsonl"
    environment = {**service.environment, "UPLOAD_TUI_REFRESH": "0.1", "UPLOAD_TUI_REQUESTS_PER_MINUTE": "100000"}
    with shell(recipe("alert").replace("My project", "Demo project"), tmp_path, environment) as process:
        try:
            while not noted.exists():  # only failures after the first poll are alerted
                failed = service.finish(service.begin("broken.bin"), is_corrupt=True)
                assert service.run("wait", failed, "--interval", "0.05").code == 1
                assert process.poll() is None
        finally:
            os.killpg(process.pid, 15)
    assert "broken.bin" in noted.read_text()


def test_recipe_talk() -> None:
    words = on_a_terminal(recipe("talk").replace("--speed 0.5", "--speed 16"))
    with Terminal(*words) as terminal:
        terminal.wait_until(lambda text: re.search(r"error [1-9]", text) is not None)
        terminal.press("w")
        terminal.wait_until(lambda text: "Option A" in text and "Option B" in text)
        terminal.press("qq")
        assert terminal.wait_for_end() == 0


def test_recipe_serve(tmp_path: Path) -> None:
    words = on_a_terminal(recipe("serve"))
    with started(*words) as process:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], TIMEOUT_SECONDS)[0]
        assert '"url": "http://127.0.0.1:' in process.stdout.readline()


def test_recipe_record(service: Served, tmp_path: Path) -> None:
    upload_id = service.begin("secret-name.bin")
    with shell(recipe("record"), tmp_path, service.environment) as process:
        shared = tmp_path / "shared.jsonl"
        while '"to":"live"' not in (shared.read_text() if shared.exists() else ""):
            assert process.poll() is None
        os.killpg(process.pid, 15)
    text = shared.read_text()
    assert '"kind":"stored"' in text
    secrets = ("secret-name", upload_id, "Demo project", "127.0.0.1", "ada")
    assert not [secret for secret in secrets if re.search(rf"\b{re.escape(secret)}\b", text)]


def test_recipe_completion(home: Path, tmp_path: Path) -> None:
    with shell(recipe("completion"), tmp_path, {}) as process:
        _, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, err) == (0, "")
    assert (home / ".zfunc" / "_upload-tui").read_text().startswith("#compdef upload-tui")
    assert "complete" in (home / ".config" / "fish" / "completions" / "upload-tui.fish").read_text()
    script = home / ".local" / "share" / "bash-completion" / "completions" / "upload-tui"
    # Without an interactive shell, `compopt` fails.
    asked = f"source {script}; COMP_WORDS=(upload-tui li); COMP_CWORD=1; compopt() {{ :; }}; "
    with shell(f'set +u; {asked} _upload_tui_completion upload-tui; echo "${{COMPREPLY[@]}}"', tmp_path, {}) as process:
        out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (out.split(), err) == (["list"], "")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_scripts_are_valid(name: str, tmp_path: Path) -> None:
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"there is no {name} here")
    script = tmp_path / "script"
    script.write_text(run("completions", name).out)
    subprocess.run([program, "-n", str(script)], check=True, timeout=TIMEOUT_SECONDS)


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_fish_completes_commands_and_options(tmp_path: Path) -> None:
    script = tmp_path / "upload-tui.fish"
    script.write_text(run("completions", "fish").out)
    for typed, expected in (("upload-tui pro", "projects"), ("upload-tui wait --fail", "--fail-fast")):
        asked = f'source {script}; complete -C "{typed}"'
        with shell(f"fish -c {shlex.quote(asked)}", tmp_path, {}) as process:
            out, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        assert out.split()[0] == expected


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_offers_commands(tmp_path: Path) -> None:
    """With a stand-in for the zsh function that offers completions."""
    (tmp_path / "_upload-tui").write_text(run("completions", "zsh").out)
    asked = "compdef() { :; }; _describe() { print -l -- ${(P)3} }; compadd() { print -l -- $@ }; words=(upload-tui pro); CURRENT=2; "
    script = f"{asked} source {tmp_path}/_upload-tui; _upload_tui_completion"
    with shell(f"zsh -f -c {shlex.quote(script)}", tmp_path, {}) as process:
        out, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert "projects" in out

"""Commands on uploads and on changes: their arguments, what they ask, and how it is shown what ran."""

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Static

from tests.tui.dashboards import mixed, opened, toasts, until
from upload_tui.clock import SystemClock
from upload_tui.monitor import CommandEnded, Detail, Query, Store, StorePicture, UploadChange, parse_query
from upload_tui.monitor.sync.ingest import ingest
from upload_tui.sources import UploadLine, source_reading
from upload_tui.testing import NOW, InMemorySession, an_upload
from upload_tui.tui import ChangeHook, CommandOutput, CommandResult, ProgramRun, UploadCommand, check_fields
from upload_tui.tui.screens.help import OutputScreen
from upload_tui.tui.screens.menu import MenuScreen
from upload_tui.tui.upload_commands import argument_values, rendered_arguments
from upload_tui.tui.widgets.activity_pane import ChangeLogView

PAGE = "https://dds.test/ui/{project_id}/{id}?name={name}"


class Programs:
    """Records what runs, and answers in its place."""

    def __init__(self, *, is_ok: bool = True) -> None:
        self.runs: list[ProgramRun] = []
        self._is_ok = is_ok

    async def run(self, name: str, run: ProgramRun) -> CommandResult:
        await asyncio.sleep(0)
        self.runs.append(run)
        output = f"\x1b[31m{run.arguments[-1]}\n" if run.keeps_output else ""
        errors = "\x1b[1mwhy\n" if run.keeps_output else ""
        return CommandResult(f"{name}: exit code {0 if self._is_ok else 1}.", self._is_ok, output, errors)


def detail_of(name: str, **fields: Any) -> Detail:
    session = InMemorySession([an_upload(name, **fields)])
    (row,) = session.picture.window(Query(), 0, 1).rows
    detail = session.picture.detail(row.id)
    session.close()
    assert detail is not None
    return detail


@given(name=st.text())
def test_a_hostile_name_stays_in_its_argument_and_in_its_part_of_the_address(name: str) -> None:
    values = argument_values(detail_of(name), PAGE)
    for template in ("{name}", "x{name}", "--name={name}", "{name}{id}"):
        try:
            (_, argument) = rendered_arguments(("program", template), values)
        except ValueError:
            assert name.startswith("-")
        else:
            assert template.startswith("-") or not argument.startswith("-")
            assert "\0" not in argument
    assert rendered_arguments(("program", "--", "{name}"), values)[2] == values.fields["name"]
    if url := values.fields["upload_url"]:
        parts = urlsplit(url)
        assert (parts.scheme, parts.netloc, parts.path.count("/"), parts.fragment) == ("https", "dds.test", 3, "")
        assert parts.query.count("&") == 0


@pytest.mark.parametrize(
    ("arguments", "rendered"),
    [
        (("p", "{name}", "a{stage}b"), ("p", "scan.tiff", "ainitiatedb")),
        (("p", "{{name}}", '{"a": {b}}'.replace("{b}", "1")), ("p", "{name}", '{"a": 1}')),
        (("sh", "-c", 'echo "$1"', "sh", "{name}"), ("sh", "-c", 'echo "$1"', "sh", "scan.tiff")),
        (("p", "{error_message}", "{size_bytes}", "{overdue}"), ("p", "", "4000000", "false")),
    ],
)
def test_fields_are_replaced_and_other_braces_stay(arguments: Sequence[str], rendered: Sequence[str]) -> None:
    check_fields(arguments)
    assert rendered_arguments(arguments, argument_values(detail_of("scan.tiff"), "")) == rendered


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("p", "{nmae}"), "no field nmae. Did you mean name"),
        (("{name}",), "the program has a field"),
        (("{name}", "x"), "the program has a field"),
        (("./bin/{stage}.sh", "x"), "the program has a field"),
        (("sh", "-c", "echo {name}"), "the script of a shell has a field"),
        (("/bin/bash", "-e", "-xc", "{name}", "sh"), "the script of a shell has a field"),
    ],
)
def test_fields_are_checked(arguments: Sequence[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_fields(arguments)


def test_values_that_would_be_another_page_have_none() -> None:
    assert argument_values(detail_of(".."), "https://dds.test/{name}").fields["upload_url"] == ""
    assert (
        argument_values(detail_of("a b/c"), "https://dds.test/{name}").fields["upload_url"]
        == "https://dds.test/a%20b%2Fc"
    )


def detail_with_url(url: object) -> Detail:
    """The upload of a source whose line has this url."""
    store, line = Store(), UploadLine("u", {"id": "u", "name": "u", "url": url})
    ingest(store, [source_reading(line, None, read_on=NOW, default_project="p")], "source:x", is_logged=False)
    detail = StorePicture(store, SystemClock(), "source:x").detail("u")
    store.close()
    assert detail is not None
    return detail


@pytest.mark.parametrize("url", [
    "https://x.test/u/7", "HTTPS://X.test:8080/r-2024/run_07.h5#chunks", "https://x/%C3%A4", "http://[::1]:80/",
    "https://x/0b2f5a1c-8f3a-4d6f-9c2b-7e2fb0a1c2d3",
])  # fmt: skip
def test_the_page_of_an_upload_of_a_source_is_the_address_that_it_printed(url: str) -> None:
    assert argument_values(detail_with_url(url), "https://dds.test/{id}").fields["upload_url"] == url


@pytest.mark.parametrize("url", ["ftp://x/a", "javascript:alert(1)", "x.test/a", "HTTP:/x", "/a",
    "https:///x", "https://", 7, r"https:\\ada:hunter2@x/a", "https://x\\y", "https://ada:hunter2@x/a",
])  # fmt: skip
def test_an_address_of_a_source_that_is_no_page_is_named(url: object) -> None:
    detail = detail_with_url(url)
    assert "hunter2" not in detail.raw
    with pytest.raises(ValueError, match=re.escape("its url is not an http(s) address")):
        rendered_arguments(("open", "{upload_url}"), argument_values(detail, ""))
    assert argument_values(detail, "https://dds.test/{id}").fields["upload_url"] == "https://dds.test/u"


SECRETS = ["//x/a?X-Amz-Signature=hunter2", "//x/#%74oken=hunter2", "//x/?a=1;session=hunter2"]
TOKENS = [
    "?key=AIzaSyhunter2", "?sessionid=0123hunter2", ";jsessionid=hunter2", "?uploadkey=hunter2", "?hunter2", "#a=hunter2",
    "ghp_hunter2hunter2hunter2", "AKIAhunter2EXAMPLE00/wJalr/hunter2", "?share=hunter2&sk=1", "%3Fkey%3Dhunter2",
    "0123456789abcdef0123hunter2", "a/ASIAhunter2/b",
]  # fmt: skip


@pytest.mark.parametrize(
    "url", ["https://x/a b hunter2", *(f"https:{rest}" for rest in SECRETS), *(f"HTTPS://x/{rest}" for rest in TOKENS)]
)
def test_an_address_of_a_source_that_may_contain_a_secret_is_not_kept(url: object) -> None:
    detail = detail_with_url(url)
    assert "hunter2" not in detail.raw
    with pytest.raises(ValueError, match="its url may contain a secret, and is not kept"):
        rendered_arguments(("open", "{upload_url}"), argument_values(detail, ""))


async def test_a_command_runs_for_each_marked_upload_and_the_activity_shows_how_it_ended() -> None:
    programs = Programs()
    command = UploadCommand("page", ("notify", "{name}"), "b")
    async with opened(mixed(), commands=(command,), run_program=programs.run) as (pilot, _, _):
        log = pilot.app.screen.query_one(ChangeLogView)
        await pilot.press("m", "m", "b")
        await until(pilot, lambda: log.total == 2)
        assert sorted(run.arguments for run in programs.runs) == [("notify", "a-initiated"), ("notify", "b-completed")]
        assert {json.loads(run.data)["name"] for run in programs.runs} == {"a-initiated", "b-completed"}
        assert {change.text for change in log.shown_changes if isinstance(change, CommandEnded)} == {
            "page: exit code 0."
        }
        assert toasts(pilot) == []
        await pilot.press("tab", "tab", "tab", "slash", *"page", "enter")
        assert log.total == 2


async def test_a_command_without_fields_runs_once_for_all() -> None:
    programs = Programs(is_ok=False)
    command = UploadCommand("all", ("collect",), "b")
    async with opened(mixed(), commands=(command,), run_program=programs.run) as (pilot, _, _):
        await pilot.press("m", "m", "b")
        await until(pilot, lambda: toasts(pilot) == ["all: exit code 1."])
        (run,) = programs.runs
        assert len(run.data.splitlines()) == 2


@pytest.mark.parametrize(("key", "runs"), [("enter", 0), ("j", 1)])
async def test_a_command_asks_first_if_it_says_so(key: str, runs: int) -> None:
    programs = Programs()
    command = UploadCommand(
        "page", ("notify", "{name}"), "b", needs_confirmation=True, output=CommandOutput.NOTIFICATION
    )
    async with opened(mixed(), commands=(command,), run_program=programs.run) as (pilot, _, _):
        await pilot.press("b")
        await pilot.pause()
        assert isinstance(pilot.app.screen, MenuScreen)
        await pilot.press(key, "enter")
        await until(pilot, lambda: len(programs.runs) == runs)
        await until(pilot, lambda: len(toasts(pilot)) == runs)
        assert "\x1b" not in "".join(toasts(pilot))


async def test_the_output_of_a_command_is_shown_without_control_characters() -> None:
    command = UploadCommand("page", ("notify", "{name}"), "b", output=CommandOutput.SHOW)
    async with opened(mixed(), commands=(command,), run_program=Programs().run) as (pilot, _, _):
        await pilot.press("b")
        await until(pilot, lambda: isinstance(pilot.app.screen, OutputScreen))
        await pilot.pause()
        assert str(pilot.app.screen.query_one(Static).render()) == "␛[31ma-initiated\n␛[1mwhy\npage: exit code 0."


async def test_an_upload_without_a_page_and_one_like_an_option_run_nothing() -> None:
    programs = Programs()
    commands = (UploadCommand("open", ("open", "{upload_url}")), UploadCommand("say", ("say", "{name}"), "b"))
    async with opened([an_upload("-rf")], commands=commands, run_program=programs.run) as (pilot, _, _):
        await pilot.press("o")
        no_page = "open was not started: the upload has no page; set upload_url in the profile"
        await until(pilot, lambda: toasts(pilot) == [no_page])
        await pilot.press("b")
        option = "say was not started: -rf would be an option of say; put -- before {name}"
        await until(pilot, lambda: toasts(pilot) == [option])
    assert programs.runs == []


async def test_hooks_get_the_changes_of_their_query_and_those_that_came_meanwhile_together() -> None:
    batches: list[list[str]] = []
    is_free = asyncio.Event()

    async def run(changes: Sequence[UploadChange]) -> CommandResult:
        batches.append([change.upload.name for change in changes])
        await is_free.wait()
        return CommandResult("on_change: say: exit code 0.", is_ok=True)

    hook = ChangeHook(parse_query("stage:error"), run)
    foreign = ChangeHook(parse_query("stage:error"), run, "https://another.test")
    async with opened(mixed(), on_change=(hook, foreign)) as (pilot, session, _):
        session.publish(an_upload("one", completed=60, error=20), an_upload("two", completed=60, verified=20))
        await until(pilot, lambda: batches == [["one"]])
        session.publish(an_upload("three", completed=60, error=20))
        session.publish(an_upload("four", completed=60, error=20))
        log = pilot.app.screen.query_one(ChangeLogView)
        await until(pilot, lambda: any(change.upload.name == "four" for change in log.shown_changes))
        assert len(batches) == 1
        is_free.set()
        await until(pilot, lambda: batches == [["one"], ["three", "four"]])
        await until(pilot, lambda: sum(isinstance(one, CommandEnded) for one in log.shown_changes) == 2)
        assert toasts(pilot) == ["on_change: say: exit code 0."]

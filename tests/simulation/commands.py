"""Commands that run beside the watchers, and what their exit codes and output must be."""

import json
import signal
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest
from msgspec import Struct, field

from tests.simulation.services import Host
from tests.simulation.world import World
from tests.unit.cli.virtual_program import Capture, Result, run_virtually
from upload_tui import monitor
from upload_tui.client import ServiceClient
from upload_tui.errors import (
    EXIT_FAILED_UPLOAD,
    EXIT_INTERNAL_ERROR,
    EXIT_NOT_FOUND,
    EXIT_OK,
    EXIT_TIMED_OUT,
    EXIT_UNREACHABLE,
)
from upload_tui.monitor import UploadWaiter
from upload_tui.status import Stage
from upload_tui.testing import NOW
from upload_tui.wire import parse_upload

__all__ = ["CommandWorld", "project_options", "run_command"]


class _Wait(Struct):
    """What `wait` waits for, and what it has been answered since it knows that.

    Attributes:
        upload_ids: the uploads that it waits for.
        stages: the stage of each upload that was listed as it began to wait, by id.
        answered: the stages in which each was answered, by id; None for an answer that there is none.
    """

    upload_ids: Sequence[str]
    stages: Mapping[str, Stage]
    answered: dict[str, list[Stage | None]] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """The exit code, if all that was listed could be read."""
        answers = [self.answered.get(upload_id, []) for upload_id in self.upload_ids]
        if any(Stage.ERROR in stages for stages in answers):
            return EXIT_FAILED_UPLOAD
        if any(None in stages for stages in answers):
            return EXIT_NOT_FOUND
        return EXIT_OK if all(Stage.VERIFIED in stages for stages in answers) else EXIT_TIMED_OUT


class CommandWorld:
    """One service, as `run_virtually` needs it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.requests = 0
        self.max_requests = 0
        self.wait: _Wait | None = None

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.requests == self.max_requests:
            signal.raise_signal(signal.SIGINT)
        response = await self._host.answer(request)
        folder, _, upload_id = request.url.path.rpartition("/")
        if self.wait is not None and folder.endswith("/uploads"):
            self._note_answer(self.wait, upload_id, response)
        return response

    def _note_answer(self, wait: _Wait, upload_id: str, response: httpx.Response) -> None:
        if response.status_code == httpx.codes.NOT_FOUND and response.json()["code"] == "not_provided":
            wait.answered.setdefault(upload_id, []).append(None)
        elif response.is_success and response.content.startswith(b"{"):  # no proxy's page
            stage = parse_upload(response.json(), read_on=NOW).stage
            wait.answered.setdefault(upload_id, []).append(stage)

    def client(self) -> ServiceClient:
        return self._host.client(self._answer)

    def begin_wait(self, upload_ids: Sequence[str]) -> None:
        """Note that `wait` has read all projects."""
        self.wait = _Wait(upload_ids, _stages(self._host))


def project_options(host: Host) -> list[str]:
    """Options that name all projects of a service."""
    return [word for project_id in host.projects for word in ("--project", project_id)]


def run_command(world: World, capture: Capture, host: Host, arguments: tuple[str, ...]) -> None:
    """Run a command, and check its exit code and its output."""
    # What is listed again has an old place, where only a pass over all pages finds it, and a command reads what is new.
    before = {upload.id: upload.stage for upload in host.uploads if upload.listed_again < 0}
    home, served, answers_all = world.folder / f"home-{host.number}", CommandWorld(host), _answers_all(world, host)

    class ObservedWaiter(UploadWaiter):
        def __init__(
            self, client: ServiceClient, store: monitor.Store, upload_ids: Sequence[str], **options: Any
        ) -> None:
            super().__init__(client, store, upload_ids, **options)
            served.begin_wait(upload_ids)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitor, "UploadWaiter", ObservedWaiter, raising=False)
        result = run_virtually(capture, home, served, *arguments)
    world.trace.add(f"{' '.join(arguments)}: {result.code} {len(result.out)}")
    assert result.code != EXIT_INTERNAL_ERROR, result.err
    assert "Traceback" not in result.err, result.err
    # The embedded service logs to the same standard error.
    assert result.code in {EXIT_OK, EXIT_FAILED_UPLOAD} or "\nupload-tui: " in f"\n{result.err}", result
    if arguments[0] == "wait":
        _check_wait(before, served.wait, result, answers_all=answers_all)
    else:
        _check_reading(host, arguments, before, result, answers_all=answers_all)


def _answers_all(world: World, host: Host) -> bool:
    """Whether a service answers each request, and always has listed what it can return; nothing happens to it meanwhile."""
    is_steady = host is not world.embedded and host.mode == "ok" and not host.restless and not host.was_unreadable
    is_listed = all(upload.listed_again < 0 for upload in host.uploads)
    return is_steady and is_listed and not world.disk.is_failing and world.disk.victim is None


def _stages(host: Host) -> Mapping[str, Stage]:
    return {upload.id: upload.stage for upload in host.uploads}


def _check_wait(before: Mapping[str, Stage], wait: _Wait | None, result: Result, *, answers_all: bool) -> None:
    """Check that `wait` waits for what is pending when it reads the projects, and that its exit code is that of these uploads.

    A failed one comes before one that is gone, that before one that could not be read at first, and that before a timeout.
    """
    if wait is None:  # the projects could not be read
        assert not answers_all, f"nothing fails, and exit code {result.code}: {result.err}"
        assert result.code not in {EXIT_OK, EXIT_FAILED_UPLOAD}, result
        return
    over = [one for one in wait.upload_ids if one in before and before[one].is_final]
    assert not over, f"wait waits for {over}, which were over before it began"
    has_unread = "cannot be read" in result.err or ": not read: " in result.err  # uploads, or all of a project
    assert not (answers_all and has_unread), result.err
    if not has_unread:
        pending = {one for one, stage in wait.stages.items() if one in before and not stage.is_final}
        assert pending <= {*wait.upload_ids}, f"wait does not wait for {pending - {*wait.upload_ids}}"
    expected = EXIT_UNREACHABLE if has_unread and wait.code == EXIT_OK else wait.code
    assert result.code == expected, (
        f"exit code {result.code} of wait, and not {expected}: {wait.answered}, {result.err}"
    )


def _check_reading(
    host: Host, arguments: tuple[str, ...], before: Mapping[str, Stage], result: Result, *, answers_all: bool
) -> None:
    """Check the exit code of `list` and `report`; if it is 0, nothing is left out that was listed all the time."""
    failed = {upload.id for upload in host.all_uploads() if Stage.ERROR in upload.reached}
    is_verdict = "--fail-on-error" in arguments
    has_answers = result.code in {EXIT_OK, EXIT_FAILED_UPLOAD}
    assert has_answers or not answers_all, f"nothing fails, and exit code {result.code}: {result.err}"
    if result.code == EXIT_FAILED_UPLOAD:
        assert is_verdict, f"exit code 1 of {arguments}, which judges no upload"
        assert failed, "exit code 1, and no upload has failed"
    if result.code == EXIT_OK:
        is_cached = "cache" in result.err
        stayed = {one: stage for one, stage in _stages(host).items() if one in before}
        assert not is_verdict or all(before[one] is not Stage.ERROR for one in stayed), "an error, and exit code 0"
        if arguments[0] == "list" and not is_cached:
            _check_list(before, stayed, result.out)
        if arguments[0] == "report" and not is_cached:
            assert json.loads(result.out)[0]["total"] >= len(stayed)


def _check_list(before: Mapping[str, Stage], after: Mapping[str, Stage], out: str) -> None:
    """Check that `list` has each upload that was listed all the time, in a stage that it had meanwhile."""
    shown = {record["id"]: record["stage"] for record in map(json.loads, out.splitlines())}
    for upload_id, stage in after.items():
        assert upload_id in shown, f"list left {upload_id} out"
        assert before[upload_id].rank <= Stage(shown[upload_id]).rank <= stage.rank, (upload_id, before, shown)

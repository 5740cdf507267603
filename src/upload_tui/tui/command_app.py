"""The part of the app that runs commands of the user: on uploads by a key, and on changes as they happen."""

import json
from collections.abc import Callable, Coroutine, Sequence
from functools import partial

from textual.binding import Binding
from textual.content import Content

from upload_tui.monitor import (
    Change,
    CommandEnded,
    Detail,
    Session,
    StageReached,
    UploadChange,
    UploadRef,
    upload_record,
)
from upload_tui.text import name_or_id, plural, sanitize, sanitize_text
from upload_tui.tui.controls import PlaybackControls
from upload_tui.tui.playback_app import PlaybackApp
from upload_tui.tui.preferences import Preferences
from upload_tui.tui.screens.session_screen import CopyScreen
from upload_tui.tui.upload_commands import (
    ChangeHook,
    CommandOutput,
    CommandResult,
    ProgramRun,
    UploadCommand,
    argument_values,
    rendered_arguments,
)

__all__ = ["CommandApp", "FailureHook"]

FailureHook = Callable[[Sequence[StageReached]], Coroutine[None, None, CommandResult | None]]
"""Called with uploads of one service that failed of one cause, for example to run the user's command; None if nothing ran."""

_RUN = "run"
_MAX_UNASKED = 10
"""A command that would run for more uploads than these asks first."""
_NOTIFICATION_CHARACTERS = 2000
"""More than a notification shows."""


class CommandApp(PlaybackApp):
    """An app that runs the commands of the preferences.

    Args:
        session: the session whose uploads and changes they get.
        preferences: the user's preferences.
        controls: the controls of a demo or a replay; None for a service.
        on_failures: called with new failures of one cause; None does nothing.
    """

    def __init__(
        self,
        session: Session,
        preferences: Preferences,
        controls: PlaybackControls | None,
        on_failures: FailureHook | None,
    ) -> None:
        super().__init__(preferences, controls)
        self.session = session
        self._on_failures = on_failures
        self._last_texts: dict[int | str, str] = {}
        self._commands = {command.name: command for command in preferences.commands}
        self._waiting: dict[int, list[UploadChange]] = {}
        """The changes that each hook has not got yet, by its number; a hook without an entry does not run."""
        for command in preferences.commands:
            if command.key:
                action, binding_id = f"run_command({command.name!r})", f"command.{command.name}"
                help_text = f"Run the command {sanitize(command.name)}"
                binding = Binding(command.key, action, command.name, False, id=binding_id, tooltip=help_text)
                self._bindings.key_to_bindings.setdefault(command.key, []).append(binding)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide the commands that do not exist, and those of a screen without uploads."""
        if action == "run_command":
            has_uploads = bool(self.screen_stack) and isinstance(self.screen, CopyScreen)
            return has_uploads and parameters[0] in self._commands
        return super().check_action(action, parameters)

    # On uploads

    def action_run_command(self, name: str) -> None:
        """Run a command on the selected or marked uploads; ask first if it says so, or for many uploads."""
        command, screen = self._commands.get(name), self.screen
        details = screen.selection() if isinstance(screen, CopyScreen) else ()
        if command is None or not details:
            return
        is_for_many = command.is_for_each and len(details) > _MAX_UNASKED
        if command.needs_confirmation or is_for_many:
            self._ask(command, details)
        else:
            self._start_command(command, details, _RUN)

    def _ask(self, command: UploadCommand, details: Sequence[Detail]) -> None:
        from upload_tui.tui.screens.menu import MenuScreen

        names = (
            name_or_id(details[0].upload.name, details[0].upload.id)
            if len(details) == 1
            else plural(len(details), "upload")
        )
        question = Content(f"Run {sanitize(command.name)} on {sanitize(names)}")
        menu = MenuScreen("Run a command", "choose", [("", Content("Cancel")), (_RUN, question)])
        self.push_screen(menu, partial(self._start_command, command, details))

    def _start_command(self, command: UploadCommand, details: Sequence[Detail], choice: str | None) -> None:
        if choice == _RUN:
            self.run_worker(self._run_command(command, details), group="commands", exit_on_error=False)

    async def _run_command(self, command: UploadCommand, details: Sequence[Detail]) -> None:
        """Run it for each upload, or once for all, and show how it ended and what it printed."""
        from upload_tui.tui.screens.help import OutputScreen

        groups = [[detail] for detail in details] if command.is_for_each else [details]
        outputs, is_shown = list[str](), command.output is CommandOutput.SHOW
        for group in groups:
            result = await self._run_on(command, group)
            self._show_end(result, UploadRef.of(group[-1]), is_notified=not result.is_ok)
            texts = [result.output, result.errors, result.text] if is_shown else [result.output]
            outputs += filter(None, map(str.strip, texts))
        output = "\n".join(outputs)
        if is_shown:
            self.push_screen(OutputScreen(command.name, output))
        elif output:
            self.notify(sanitize_text(output[:_NOTIFICATION_CHARACTERS]), markup=False)

    async def _run_on(self, command: UploadCommand, details: Sequence[Detail]) -> CommandResult:
        run_program = self._preferences.run_program
        if run_program is None:
            return CommandResult(f"{command.name} was not started: no commands here", is_ok=False)
        try:
            values = argument_values(details[-1], self._preferences.page_template(details[-1].row.service))
            arguments = rendered_arguments(command.arguments, values)
        except ValueError as error:
            return CommandResult(f"{command.name} was not started: {error}", is_ok=False)
        data = "".join(f"{json.dumps(upload_record(detail))}\n" for detail in details)
        keeps_output = command.output is not CommandOutput.DISCARD
        return await run_program(command.name, ProgramRun(arguments, data, keeps_output, command.timeout_seconds))

    # On changes

    def queue_changes(self, changes: Sequence[Change]) -> None:
        """Give each hook the changes that match its query; while it runs, they wait for its next run."""
        uploads = [one for one in changes if isinstance(one, UploadChange) and not isinstance(one, CommandEnded)]
        for number, hook in enumerate(self._preferences.on_change if uploads else ()):
            matching = [one for one in uploads if self._matches(hook, one)]
            if matching and number in self._waiting:
                self._waiting[number].extend(matching)
            elif matching:
                self._waiting[number] = matching
                self.run_worker(self._run_hook(number, hook), group="on change", exit_on_error=False)

    def _matches(self, hook: ChangeHook, change: UploadChange) -> bool:
        from upload_tui.monitor import matches_change, needs_upload

        if hook.service and hook.service != change.upload.service:
            return False
        tree, picture = hook.where.tree, self.session.picture
        row = picture.row(*change.upload.key) if needs_upload(tree) else None
        return matches_change(tree, change, row, picture.clock.now().replace(microsecond=0))

    async def _run_hook(self, number: int, hook: ChangeHook) -> None:
        try:
            while changes := self._waiting[number]:
                self._waiting[number] = []
                self._show_hook_end(number, await hook.run(changes), changes[-1].upload)
        finally:
            del self._waiting[number]

    def run_on_failures(self, failures: Sequence[StageReached]) -> None:
        """Run the command for failures."""
        if self._on_failures is not None and failures:
            run = self._run_on_failures(self._on_failures, failures)
            self.run_worker(run, group="on failures", exit_on_error=False)

    async def _run_on_failures(self, on_failures: FailureHook, failures: Sequence[StageReached]) -> None:
        upload = failures[-1].upload
        if (result := await on_failures(failures)) is not None:
            self._show_hook_end(upload.service, result, upload)

    def _show_hook_end(self, number: int | str, result: CommandResult, upload: UploadRef) -> None:
        """Show what ran and how it ended; as a notification only if it ended otherwise than the last time.

        `number` is that of the hook; the service for its command for failures.
        """
        self._show_end(result, upload, is_notified=result.text != self._last_texts.get(number))
        self._last_texts[number] = result.text

    def _show_end(self, result: CommandResult, upload: UploadRef, *, is_notified: bool) -> None:
        """Add a line to the activity, and notify."""
        now = self.session.picture.clock.now()
        self.session.changes.publish(CommandEnded(at=now, upload=upload, text=result.text, is_ok=result.is_ok))
        if is_notified:
            self.notify(sanitize(result.text), severity="information" if result.is_ok else "warning", markup=False)

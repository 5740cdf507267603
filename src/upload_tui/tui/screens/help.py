"""What the keys do, for the place where a person pressed `?`."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from upload_tui.tui.keys import key_label, key_of

__all__ = ["HelpScreen"]

_STATE_MODEL = (
    ("initiated", "the client began, and sends chunks"),
    ("completed", "all chunks are sent, says the client; a worker checks"),
    ("verified", "stored, and every check passed: the file is safe"),
    ("error", "a check failed, or storing did: upload it again"),
)


class HelpScreen(ModalScreen[None]):
    """The keys in force, and the state model in four lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Close", id="help.close", tooltip="Close the help"),
        Binding("j,down", "scroll(1)", "Down", show=False, id="help.down", tooltip="Scroll down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="help.up", tooltip="Scroll up"),
    ]

    def __init__(self, bindings: Sequence[ActiveBinding], *, is_plain: bool = False) -> None:
        super().__init__()
        self._is_plain = is_plain
        self._active = bindings

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help") as box:
            box.border_title = "Help"
            box.border_subtitle = f"{key_of(self, 'help.close')} closes"
            yield Static(Content("\n").join([*self._stages(), Content(""), *self._keys()]))

    def _stages(self) -> Iterator[Content]:
        for stage, meaning in _STATE_MODEL:
            yield Content.assemble((f"{stage:<11}", f"$stage-{stage} bold"), (meaning, ""))
        yield Content.styled("Times are reported, ~estimated, or seen-between two readings.", "$quiet")

    def _keys(self) -> Iterator[Content]:
        for action, keys, tooltip in self._grouped():
            del action
            yield Content.assemble((f"{keys:<11}", "bold $primary"), (tooltip, ""))

    def _grouped(self) -> Iterator[tuple[str, str, str]]:
        """Each action once, with all its keys."""
        keys: dict[str, list[str]] = {}
        tooltips: dict[str, str] = {}
        for active in self._active:
            binding = active.binding
            if binding.id is None or not (active.tooltip or binding.tooltip):
                continue
            keys.setdefault(binding.action, []).append(
                key_label(binding.key_display or binding.key, is_plain=self._is_plain)
            )
            tooltips[binding.action] = active.tooltip or binding.tooltip
        for action, labels in keys.items():
            yield action, " ".join(dict.fromkeys(labels)), tooltips[action]

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help").scroll_relative(y=lines, animate=False)

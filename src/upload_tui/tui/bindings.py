"""The keys of the dashboard and its panes, and how they are written on screen. Settings change a key by its binding's id."""

from collections.abc import Mapping, Sequence
from typing import Any

from textual.binding import ActiveBinding, Binding
from textual.keys import _character_to_key
from textual.screen import Screen

from upload_tui.lazy import lazy_pattern
from upload_tui.status import Stage
from upload_tui.text import MOMENT_EXAMPLES

__all__ = [
    "ALL_KEYS",
    "APP_KEYS",
    "COPY_KEYS",
    "DASHBOARD_KEYS",
    "DEMO_ACTIONS",
    "FOOTER_FIRST",
    "FOOTER_LAST",
    "HELP_KEY",
    "HISTORY_KEY",
    "PLAYBACK_ACTIONS",
    "RECENT_SPANS",
    "REPLAY_KEYMAP",
    "SEEK_ACTIONS",
    "SERVICE_ACTIONS",
    "TABLE_KEYS",
    "TAIL_KEYS",
    "TIMELINE_KEYS",
    "free_key",
    "key_label",
    "key_of",
    "keys_of",
    "keys_text",
    "no_search_text",
]


def _key(
    keys: str, action: str, description: str, tooltip: str, binding_id: str, *, footer_key: str | None = None
) -> Binding:
    """A binding; `footer_key` is how its key is written in the footer, None keeps it out of the footer."""
    return Binding(
        keys,
        action,
        description,
        tooltip=tooltip,
        id=binding_id,
        show=footer_key is not None,
        key_display=footer_key or None,
    )


RECENT_SPANS = {60: "minute", 300: "5 minutes", 900: "15 minutes", 3600: "hour", 86400: "day"}
"""The filters of what changed last: how many seconds, and how that is written after `last`."""


def _recent_keys(prefix: str, what: str) -> Sequence[Binding]:
    return [
        _key(f"{key}", f"recent({seconds})", f"Last {span}", f"{what} in the last {span} (toggle)", name)
        for key, (seconds, span) in enumerate(RECENT_SPANS.items(), 5)
        for name in [f"{prefix}.{span.replace(' ', '_')}"]
    ]


def _cursor_keys(prefix: str, line: str, *, first: str, last: str) -> Sequence[Binding]:
    """The keys that move a cursor through lines, each of which is a `line`."""
    return (
        _key("j,down", "move(1)", "Down", f"Next {line}", f"{prefix}.down"),
        _key("k,up", "move(-1)", "Up", f"Previous {line}", f"{prefix}.up"),
        _key("n", "match(1)", "Next match", "Go to the next match", f"{prefix}.next_match"),
        _key("N", "match(-1)", "Previous match", "Go to the previous match", f"{prefix}.previous_match"),
        _key("g,home", "first", "First", first, f"{prefix}.first"),
        _key("G,end", "last", "Last", last, f"{prefix}.last"),
        _key("pagedown", "page(1)", "Page down", "One page down", f"{prefix}.page_down"),
        _key("pageup", "page(-1)", "Page up", "One page up", f"{prefix}.page_up"),
        _key("ctrl+d", "page(0.5)", "Half down", "Half a page down", f"{prefix}.half_down"),
        _key("ctrl+u", "page(-0.5)", "Half up", "Half a page up", f"{prefix}.half_up"),
    )


TABLE_KEYS = (
    *_cursor_keys("table", "upload", first="First upload", last="Last upload"),
    _key("enter", "open", "Open", "Open the upload", "table.open", footer_key="Enter"),
    _key("m", "mark", "Mark", "Mark the upload; copying and exporting then apply to all marked", "table.mark"),
)

TAIL_KEYS = (
    *_cursor_keys("activity", "change", first="Oldest change", last="Newest change, and follow it"),
    _key("enter", "open", "Open", "Open the change's upload", "activity.open", footer_key="Enter"),
    _key("y", "screen.copy_id", "Copy id", "Copy the id of the change's upload", "activity.copy"),
    *(
        _key(
            f"{number}",
            f"only('{stage}')",
            stage.title(),
            f"Show only changes to {stage} (toggle)",
            f"activity.{stage}",
        )
        for number, stage in enumerate(Stage, 1)
    ),
    *_recent_keys("activity.last", "Changes"),
    _key("escape", "clear", "Clear", "Clear the search, then the filters", "activity.clear"),
)
"""The keys of the change log in the activity pane. Settings know it as `tail`."""

TIMELINE_KEYS = (
    _key("j,down", "scroll_by(1)", "Down", "One line down", "timeline.down"),
    _key("k,up", "scroll_by(-1)", "Up", "One line up", "timeline.up"),
    _key("pagedown,ctrl+d", "scroll_pages(1)", "Page down", "One page down", "timeline.page_down"),
    _key("pageup,ctrl+u", "scroll_pages(-1)", "Page up", "One page up", "timeline.page_up"),
    _key("g,home", "scroll_by(-10_000)", "First", "First line", "timeline.first"),
    _key("G,end", "scroll_by(10_000)", "Last", "Last line", "timeline.last"),
)

COPY_KEYS = (
    _key("y", "copy_id", "Copy id", "Copy the upload's id", "copy.id"),
    _key("Y", "copy_json", "Copy JSON", "Copy the raw response as JSON", "copy.json"),
    _key("C", "copy_curl", "Copy curl", "Copy the request as curl, with the token as a variable", "copy.curl"),
)

HISTORY_KEY = _key(
    "h", "history", "History", "Everything seen of the upload, in order of time, and its chunks", "history"
)

DASHBOARD_KEYS = (
    _key(
        "slash",
        "search",
        "Search",
        "Search uploads, or changes while Activity has the focus: words and fields such as is:stuck size>1GB",
        "search",
        footer_key="/",
    ),
    _key("exclamation_mark", "trouble", "Trouble", "Show only uploads in trouble (toggle)", "trouble", footer_key="!"),
    _key("1", "stage('initiated')", "Initiated", "Show only initiated (toggle)", "stage.initiated"),
    _key("2", "stage('completed')", "Completed", "Show only completed (toggle)", "stage.completed"),
    _key("3", "stage('verified')", "Verified", "Show only verified (toggle)", "stage.verified"),
    _key("4", "stage('error')", "Error", "Show only failed (toggle)", "stage.error"),
    *_recent_keys("last", "What changed"),
    _key("E", "next_failed", "Next failed", "Go to the next failed upload", "next.failed"),
    _key("W", "next_stuck", "Next stuck", "Go to the next overdue or stuck upload", "next.stuck"),
    _key("s", "sort", "Sort", "Sort by the next column", "sort", footer_key="s"),
    _key("S", "reverse", "Reverse", "Reverse the sort order", "reverse"),
    _key("f", "follow", "Follow", "Follow newest", "follow", footer_key="f"),
    _key(
        "a", "acknowledge", "Acknowledge", "Acknowledge what is wrong, with a note; again: take it back", "acknowledge"
    ),
    _key("w", "shapes", "Formats", "Status in three formats: Option A, Option B, deployed", "shapes", footer_key="w"),
    HISTORY_KEY,
    _key("J", "raw", "Raw", "Raw response, secrets hidden", "raw"),
    _key("F", "failures", "Failures", "Failures by cause", "failures"),
    _key("l", "latencies", "Latency", "Latency between stages, as histograms", "latencies"),
    _key(
        "T", "go_to_time", "Go to time", f"Go to a time in Activity: {', '.join(MOMENT_EXAMPLES[:2])}", "activity.time"
    ),
    _key("p", "projects", "Projects", "Show one project or all", "projects"),
    _key("v", "views", "Views", "Choose a view, save or remove one", "views"),
    _key("space", "pause", "Pause", "Pause or resume refreshing", "pause", footer_key="Space"),
    _key("r", "refresh", "Refresh", "Refresh now", "refresh"),
    _key("t", "times", "Times", "Relative or absolute times", "times"),
    _key("d", "density", "Density", "One or two lines per upload", "density"),
    _key("c", "columns", "Columns", "Choose columns, their order and width", "columns"),
    *COPY_KEYS,
    _key("e", "export", "Export", "Save uploads, changes or the screen to a file", "export"),
    _key("tab", "app.focus_next", "Pane", "Next pane", "pane.next", footer_key="Tab"),
    _key("escape", "clear", "Clear", "Clear the search, then the filters, then the marks", "clear"),
)

HELP_KEY = _key("question_mark", "app.help", "Help", "Show this help", "help")
"""For dialogs, which the app's own keys do not reach."""

APP_KEYS = (
    _key("question_mark", "help", "Help", "Show this help", "help", footer_key="?"),
    _key("q", "leave", "Quit", "Back one level, then quit", "quit", footer_key="q"),
    _key(
        "Q",
        "quit_with_screen",
        "Quit, leave picture",
        "Quit and leave the last screen in the terminal",
        "quit.screen",
    ),
    _key("u", "start_upload", "New", "Start a new upload", "demo.upload", footer_key="u"),
    _key("x", "start_fault", "Fault", "Inject a fault (menu)", "demo.fault", footer_key="x"),
    _key(
        "left_square_bracket", "slower", "Slower", "Slow down; a demo stops in the end", "demo.slower", footer_key="["
    ),
    _key("right_square_bracket", "faster", "Faster", "Speed up", "demo.faster", footer_key="]"),
    _key("full_stop", "step", "Step", "One step forward", "demo.step", footer_key="."),
    _key("o", "run_command('open')", "Open page", "Open the upload's page (upload_url of the profile)", "open.page"),
    _key("comma", "step_back", "Step back", "Replay: one step back", "replay.back"),
    _key("g", "seek", "Go to time", "Replay: go to a time: 13:05, -5m, +30s", "replay.seek"),
    _key("ctrl+z", "suspend_process", "Suspend", "Suspend (`fg` resumes)", "suspend"),
    Binding(
        "ctrl+c",
        "copy_selection",
        "Copy",
        show=False,
        id="copy.selection",
        tooltip="Copy the selected text; never quits",
        priority=True,
    ),
    Binding(
        "ctrl+p",
        "command_palette",
        "Commands",
        show=False,
        id="palette",
        tooltip="Command palette",
        priority=True,
    ),
)

ALL_KEYS = (*TABLE_KEYS, *TAIL_KEYS, *TIMELINE_KEYS, *DASHBOARD_KEYS, *APP_KEYS)
"""Every binding outside the dialogs."""

FOOTER_FIRST = (
    "table.open",
    "upload.back",
    "pane.next",
    "activity.open",
    "search",
    "trouble",
    "copy.id",
    "copy.json",
    "demo.upload",
    "demo.fault",
    "demo.slower",
    "demo.faster",
    "pause",
    "follow",
    "sort",
    "shapes",
    "demo.step",
)
"""The order of the footer: a narrow footer shows only the first of these. Other bindings follow them."""

FOOTER_LAST = ("help", "quit", "palette")
"""At the right end of the footer, at every width."""

PLAYBACK_ACTIONS = frozenset({"slower", "faster", "step"})
"""Actions that need `PlaybackControls`: the demo and replays."""

SEEK_ACTIONS = frozenset({"step_back", "seek"})
"""Actions that need `SeekControls`: replays."""

REPLAY_KEYMAP = {"table.first": "home", "activity.first": "home", "timeline.first": "home"}
"""Keys that change in a replay, where `g` goes to a time."""

DEMO_ACTIONS = frozenset({"start_upload", "start_fault"})
"""Actions that need `DemoControls`: a replay cannot change what was recorded."""

SERVICE_ACTIONS = frozenset({"shapes", "copy_curl"})
"""Actions that need the API of a service, which a source does not have."""


_LABELS = {
    "down": "↓",
    "up": "↑",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
    "enter": "Enter",
    "escape": "Esc",
    "space": "Space",
    "tab": "Tab",
    "slash": "/",
    "question_mark": "?",
    "exclamation_mark": "!",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "full_stop": ".",
    "comma": ",",
    "plus": "+",
    "minus": "-",
}


_ASCII_LABELS = {"down": "Down", "up": "Up"}


def key_label(key: str, *, is_ascii: bool = False) -> str:
    """How a key is written; `is_ascii` uses ASCII characters only."""
    if is_ascii and key in _ASCII_LABELS:
        return _ASCII_LABELS[key]
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    return _LABELS.get(key, key)


def keys_of(screen: Screen[Any]) -> list[tuple[ActiveBinding, list[str]]]:
    """The bindings with an id that are active on a screen, each once, with the labels of its keys."""
    found: dict[str, tuple[ActiveBinding, list[str]]] = {}
    for active in screen.active_bindings.values():
        if active.binding.id is not None and active.enabled:
            _, keys = found.setdefault(active.binding.id, (active, []))
            keys.append(screen.app.get_key_display(active.binding))
    return list(found.values())


def keys_text(keys: Sequence[str]) -> str:
    """The labels of several keys, letters first: `j ↓`."""
    return " ".join(sorted(dict.fromkeys(keys), key=lambda key: len(key) > 1 or not key.isascii()))


def key_of(screen: Screen[Any], binding_id: str) -> str:
    """The label of the first active key of a binding; empty if it has none."""
    bindings = (active.binding for active in screen.active_bindings.values() if active.enabled)
    return next((screen.app.get_key_display(binding) for binding in bindings if binding.id == binding_id), "")


def no_search_text(screen: Screen[Any]) -> str:
    """The answer to a key that goes to a match while there is no search."""
    key = key_of(screen, "search")
    return f"No search. {key} starts one." if key else "No search."


_NAMED_KEY = lazy_pattern(
    r"(?:(?:ctrl|alt|shift)\+)*(?:f(?:[1-9]|1\d|2[0-4])|[a-z0-9]|left|right|insert|delete|backspace)"
)


def free_key(text: str, keymap: Mapping[str, str], taken: Mapping[str, str]) -> str:
    """The key that a user wrote for a view or a command, such as `b`, `#`, `f5` or `ctrl+t`, as Textual names it.

    Args:
        text: what the user wrote.
        keymap: the user's keys by binding id.
        taken: who has other keys, such as `the view night`, by key.

    Raises:
        ValueError: there is no such key, or it is taken.
    """
    if len(text) == 1 and text.isprintable():
        key = _character_to_key(text)
    elif _NAMED_KEY.fullmatch(text.lower()):
        key = text.lower()
    else:
        raise ValueError(f"there is no key {text}")
    owners = {
        each.strip(): one.id for one in reversed(ALL_KEYS) for each in keymap.get(one.id or "", one.key).split(",")
    }
    if owner := taken.get(key, owners.get(key)):
        raise ValueError(f"the key {text} belongs to {owner}")
    return key

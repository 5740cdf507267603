"""The keys of the dashboard and of its table, one line each; every one can be remapped by its id."""

from textual.binding import Binding

from upload_tui.status import Stage

__all__ = [
    "ALL_KEYS",
    "APP_KEYS",
    "COPY_KEYS",
    "DASHBOARD_KEYS",
    "FOOTER_FIRST",
    "FOOTER_LAST",
    "HELP_KEY",
    "DEMO_ACTIONS",
    "PLAYBACK_ACTIONS",
    "TABLE_KEYS",
    "TAIL_KEYS",
    "TIMELINE_KEYS",
]


def _key(
    keys: str, action: str, description: str, tooltip: str, binding_id: str, *, footer_key: str | None = None
) -> Binding:
    """A binding; in the footer only if `footer_key` says how its key is written there."""
    return Binding(
        keys,
        action,
        description,
        tooltip=tooltip,
        id=binding_id,
        show=footer_key is not None,
        key_display=footer_key or None,
    )


TABLE_KEYS = (
    _key("j,down", "move(1)", "Down", "Go to the next upload", "table.down"),
    _key("k,up", "move(-1)", "Up", "Go to the upload before", "table.up"),
    _key("n", "match(1)", "Next match", "Go to the next match of the search", "table.next_match"),
    _key("N", "match(-1)", "Match before", "Go to the match before", "table.previous_match"),
    _key("g,home", "first", "First", "Go to the first upload", "table.first"),
    _key("G,end", "last", "Last", "Go to the last upload", "table.last"),
    _key("pagedown", "page(1)", "Page down", "A page down", "table.page_down"),
    _key("pageup", "page(-1)", "Page up", "A page up", "table.page_up"),
    _key("ctrl+d", "page(0.5)", "Half down", "Half a page down", "table.half_down"),
    _key("ctrl+u", "page(-0.5)", "Half up", "Half a page up", "table.half_up"),
    _key("enter", "open", "Open", "Open the upload's own screen", "table.open", footer_key="Enter"),
    _key("m", "mark", "Mark", "Mark the upload; copying then takes all marked", "table.mark"),
)

TAIL_KEYS = (
    _key("j,down", "move(1)", "Down", "Go to the next change", "tail.down"),
    _key("k,up", "move(-1)", "Up", "Go to the change before", "tail.up"),
    _key("n", "match(1)", "Next match", "Go to the next match of the search", "tail.next_match"),
    _key("N", "match(-1)", "Match before", "Go to the match before", "tail.previous_match"),
    _key("g,home", "first", "First", "Go to the oldest change", "tail.first"),
    _key("G,end", "last", "Last", "Go to the newest change and stay with it", "tail.last"),
    _key("pagedown", "page(1)", "Page down", "A page down", "tail.page_down"),
    _key("pageup", "page(-1)", "Page up", "A page up", "tail.page_up"),
    _key("ctrl+d", "page(0.5)", "Half down", "Half a page down", "tail.half_down"),
    _key("ctrl+u", "page(-0.5)", "Half up", "Half a page up", "tail.half_up"),
    _key("enter", "open", "Open", "Open the screen of the change's upload", "tail.open", footer_key="Enter"),
    _key("y", "screen.copy_id", "Copy id", "Copy the id of the change's upload", "tail.copy"),
    *(
        _key(f"{number}", f"only('{stage}')", stage.title(), f"Changes to {stage} alone; again: all", f"tail.{stage}")
        for number, stage in enumerate(Stage, 1)
    ),
    _key("escape", "clear", "Clear", "Clear the tail's search; again: its stage", "tail.clear"),
)

TIMELINE_KEYS = (
    _key("j,down", "scroll_by(1)", "Down", "A line down", "timeline.down"),
    _key("k,up", "scroll_by(-1)", "Up", "A line up", "timeline.up"),
    _key("pagedown,ctrl+d", "scroll_pages(1)", "Page down", "A page down", "timeline.page_down"),
    _key("pageup,ctrl+u", "scroll_pages(-1)", "Page up", "A page up", "timeline.page_up"),
    _key("g,home", "scroll_by(-10_000)", "First", "The first line", "timeline.first"),
    _key("G,end", "scroll_by(10_000)", "Last", "The last line", "timeline.last"),
)

COPY_KEYS = (
    _key("y", "copy_id", "Copy id", "Copy the id", "copy.id"),
    _key("Y", "copy_json", "Copy JSON", "Copy the service's answer as JSON", "copy.json"),
    _key("C", "copy_curl", "Copy curl", "Copy the request as curl, the token as a variable", "copy.curl"),
)

DASHBOARD_KEYS = (
    _key(
        "slash",
        "search",
        "Search",
        "Search as you type: the uploads, or the tail if it has the focus (-verified leaves out)",
        "search",
        footer_key="/",
    ),
    _key(
        "exclamation_mark",
        "attention",
        "Trouble",
        "Only the stuck and the failed; again: all",
        "trouble",
        footer_key="!",
    ),
    _key("1", "stage('initiated')", "Initiated", "Only initiated; again: all", "stage.initiated"),
    _key("2", "stage('completed')", "Completed", "Only completed; again: all", "stage.completed"),
    _key("3", "stage('verified')", "Verified", "Only verified; again: all", "stage.verified"),
    _key("4", "stage('error')", "Error", "Only errors; again: all", "stage.error"),
    _key("E", "next_failed", "Next failed", "Go to the next failed upload", "next.failed"),
    _key("W", "next_stuck", "Next overdue", "Go to the next upload that looks stuck", "next.stuck"),
    _key("s", "sort", "Sort", "Sort by the next column", "sort", footer_key="s"),
    _key("S", "reverse", "Reverse", "Reverse the order", "reverse"),
    _key("f", "follow", "Follow", "Stick to the newest upload", "follow", footer_key="f"),
    _key("w", "shapes", "Shapes", "The status as Option A, Option B and deployed JSON", "shapes", footer_key="w"),
    _key("J", "raw", "Raw", "The service's raw answer, secrets masked", "raw"),
    _key("F", "failures", "Failures", "Why uploads failed, grouped by cause", "failures"),
    _key("l", "latencies", "Latencies", "How long uploads take between stages, as histograms", "latencies"),
    _key("p", "projects", "Projects", "Show one project or all", "projects"),
    _key("space", "pause", "Pause", "Pause and resume refreshing", "pause", footer_key="Space"),
    _key("r", "refresh", "Refresh", "Ask the service now", "refresh"),
    _key("t", "times", "Times", "Relative or absolute times", "times"),
    _key("d", "density", "Density", "One line or two for each upload", "density"),
    _key("c", "columns", "Columns", "Choose the columns, their order and width", "columns"),
    *COPY_KEYS,
    _key("e", "export", "Export", "Write what is shown to a file: JSON, CSV, SVG", "export"),
    _key("tab", "app.focus_next", "Pane", "Go to the next pane", "pane.next", footer_key="Tab"),
    _key("escape", "clear", "Clear", "Clear the search; again: the filters; again: the marks", "clear"),
)

HELP_KEY = _key("question_mark", "app.help", "Help", "What the keys do", "help")
"""For dialogs, which the app's own keys do not reach."""

APP_KEYS = (
    _key("question_mark", "help", "Help", "What the keys do", "help", footer_key="?"),
    _key("q", "leave", "Quit", "Back one level, then quit", "quit", footer_key="q"),
    _key("u", "start_upload", "New", "Begin one more upload", "story.upload", footer_key="u"),
    _key("x", "break_something", "Break", "Break something, from a menu", "story.break", footer_key="x"),
    _key(
        "left_square_bracket",
        "slower",
        "Slower",
        "Let the story go slower, then hold it",
        "story.slower",
        footer_key="[",
    ),
    _key("right_square_bracket", "faster", "Faster", "Let the story go faster", "story.faster", footer_key="]"),
    _key("full_stop", "step", "Step", "Let one second of the story pass", "story.step", footer_key="."),
    _key("ctrl+z", "suspend_process", "Suspend", "Back to the shell; `fg` comes back", "suspend"),
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
        "All",
        show=False,
        id="palette",
        tooltip="Everything there is, by name",
        priority=True,
    ),
)

ALL_KEYS = (*TABLE_KEYS, *TAIL_KEYS, *TIMELINE_KEYS, *DASHBOARD_KEYS, *APP_KEYS)
"""Every key that a person can remap."""

FOOTER_FIRST = (
    "table.open",
    "upload.back",
    "pane.next",
    "search",
    "trouble",
    "copy.id",
    "copy.json",
    "story.upload",
    "story.break",
    "story.slower",
    "story.faster",
    "pause",
    "follow",
    "sort",
    "shapes",
    "story.step",
)
"""Where there is room for few keys only, these are told first; then all others that have a word for the footer."""

FOOTER_LAST = ("help", "quit", "palette")
"""On the right, however little room there is."""

PLAYBACK_ACTIONS = frozenset({"slower", "faster", "step"})
"""Actions that need a story whose pace is in the person's hands: a demo, a replay."""

DEMO_ACTIONS = frozenset({"start_upload", "break_something"})
"""Actions that need a story which can still be told otherwise: what was recorded cannot."""

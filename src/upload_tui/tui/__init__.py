"""The dashboard, built with Textual: shows a session on screens, and turns keys into calls of the session.

It owns the app, its screens and widgets, the key bindings, and how uploads are shown. `cli` and `testing` give it a session
and preferences; `upload_tui.widgets` offers its widgets to other apps. It must not know where the uploads come from: it opens
no socket, no file and no database, reads no settings, and does not import `client`, `backend` or `cli`.
"""

from typing import TYPE_CHECKING

from upload_tui.lazy import lazy_names

if TYPE_CHECKING:
    from upload_tui.tui.alerts import AlertSettings
    from upload_tui.tui.app import UploadApp
    from upload_tui.tui.appearance.columns import ColumnSpec, ViewKind, parse_columns
    from upload_tui.tui.appearance.display_options import DisplayOptions
    from upload_tui.tui.appearance.glyphs import ASCII, UNICODE, AsciiFilter, Glyphs, glyphs_for
    from upload_tui.tui.appearance.theme import DEFAULT_THEME, THEMES, check_stylesheets, read_theme, stylesheet_paths
    from upload_tui.tui.bindings import free_key
    from upload_tui.tui.command_app import FailureHook
    from upload_tui.tui.command_palette import action_ids
    from upload_tui.tui.controls import DemoControls, Fault, PlaybackControls
    from upload_tui.tui.fitting import fit_to_width, truncate_at_word, truncate_middle
    from upload_tui.tui.preferences import MAX_SEARCHES, Preferences, ScreenState, TableOrder, View
    from upload_tui.tui.upload_commands import (
        ChangeHook,
        CommandOutput,
        CommandResult,
        ProgramRun,
        UploadCommand,
        check_fields,
    )

__all__ = [
    "ASCII",
    "DEFAULT_THEME",
    "MAX_SEARCHES",
    "THEMES",
    "UNICODE",
    "AlertSettings",
    "AsciiFilter",
    "ColumnSpec",
    "ChangeHook",
    "CommandOutput",
    "CommandResult",
    "DemoControls",
    "PlaybackControls",
    "DisplayOptions",
    "FailureHook",
    "Fault",
    "Glyphs",
    "Preferences",
    "ProgramRun",
    "ScreenState",
    "TableOrder",
    "UploadApp",
    "UploadCommand",
    "View",
    "ViewKind",
    "action_ids",
    "check_fields",
    "check_stylesheets",
    "fit_to_width",
    "free_key",
    "glyphs_for",
    "parse_columns",
    "read_theme",
    "stylesheet_paths",
    "truncate_at_word",
    "truncate_middle",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "app": "UploadApp",
        "appearance.columns": "ColumnSpec parse_columns ViewKind",
        "appearance.display_options": "DisplayOptions",
        "appearance.glyphs": "ASCII AsciiFilter Glyphs glyphs_for UNICODE",
        "appearance.theme": "check_stylesheets DEFAULT_THEME read_theme stylesheet_paths THEMES",
        "bindings": "free_key",
        "command_app": "FailureHook",
        "command_palette": "action_ids",
        "fitting": "fit_to_width truncate_at_word truncate_middle",
        "alerts": "AlertSettings",
        "controls": "DemoControls Fault PlaybackControls",
        "preferences": "MAX_SEARCHES Preferences ScreenState TableOrder View",
        "upload_commands": "ChangeHook check_fields CommandOutput CommandResult ProgramRun UploadCommand",
    },
)

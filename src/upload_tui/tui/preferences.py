"""What a person wishes of the dashboard; composed by `cli` from settings, handed to the app."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field
from textual.theme import Theme

from upload_tui.tui.alerts import AlertSettings
from upload_tui.tui.appearance.columns import ColumnSpec
from upload_tui.tui.appearance.display_options import DisplayOptions

__all__ = ["Preferences"]


class Preferences(Struct, frozen=True):
    """The wishes.

    Attributes:
        look: how facts are written; None takes the signs that the terminal's encoding can show.
        theme: the name of a theme; empty takes the one that suits the terminal.
        chosen_theme: the theme that was chosen last, if `theme` names none; for a terminal with many colours. Empty if none was.
        themes: the person's own themes, beside those that there are.
        sheets: the person's own sheets, which have the last word.
        keymap: other keys for actions, by the ids of their bindings; several keys are separated by commas.
        export_folder: where exports go; None is the platform's folder for downloads.
        alerts: how to be called when uploads fail.
        keep_columns: keeps the columns that the person has just chosen for the next time; None forgets them.
        keep_theme: keeps the theme that the person has just chosen for the next time; None forgets it.
        is_animated: whether anything moves but the facts.
    """

    display_options: DisplayOptions | None = None
    theme: str = ""
    saved_theme: str = ""
    themes: Sequence[Theme] = ()
    stylesheets: Sequence[Path] = ()
    keymap: Mapping[str, str] = field(default_factory=dict)
    export_folder: Path | None = None
    alerts: AlertSettings = field(default_factory=AlertSettings)
    save_columns: Callable[[Sequence[ColumnSpec]], None] | None = None
    save_theme: Callable[[str], None] | None = None
    is_animated: bool = True

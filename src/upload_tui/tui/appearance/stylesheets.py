"""Locates the stylesheets, in the installed package or in a checkout, and checks the user's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.css.stylesheet import StylesheetParseError
    from textual.css.tokenizer import TokenError

from upload_tui.errors import SettingsError, StyleError

__all__ = ["STYLESHEETS", "WIDGET_STYLESHEETS", "check_stylesheets", "stylesheet_paths"]

STYLESHEETS = ("app.tcss", "widgets.tcss", "dashboard.tcss", "dialogs.tcss")
"""The stylesheets of the dashboard; a later one overrides an earlier one."""

WIDGET_STYLESHEETS = ("widgets.tcss",)
"""The stylesheets that the widgets need in another app."""


def stylesheet_paths(sheets: Sequence[str] = STYLESHEETS) -> list[Path]:
    """The absolute paths of stylesheets, in the given order.

    Raises:
        StyleError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parents[2]
    folders = (package / "styles", package.parent.parent / "styles")
    for folder in folders:
        paths = [folder / sheet for sheet in sheets]
        if all(path.is_file() for path in paths):
            return paths
    raise StyleError(f"The stylesheets are missing below {package}", "Install upload-tui again.")


def check_stylesheets(paths: Sequence[Path]) -> None:
    """Check that the user's own stylesheets can be used.

    Raises:
        SettingsError: a stylesheet cannot be read or parsed.
    """
    if not paths:
        return
    from textual.css.errors import StylesheetError
    from textual.css.stylesheet import Stylesheet, StylesheetParseError
    from textual.css.tokenizer import TokenError
    from textual.theme import BUILTIN_THEMES

    from upload_tui.tui.appearance.theme import THEMES, TOKEN_DEFAULTS

    variables = {**TOKEN_DEFAULTS, **BUILTIN_THEMES["ansi-dark"].to_color_system().generate()}
    variables |= THEMES[0].to_color_system().generate()
    for path in paths:
        sheet = Stylesheet(variables=variables)
        try:
            sheet.read(path)
            sheet.parse()
        except (StylesheetParseError, TokenError) as error:
            raise SettingsError(f"{path}{_first_error(error)}", "Fix or remove it.") from error
        except StylesheetError as error:
            raise SettingsError(f"{path} cannot be read", "Check its permissions, or remove it.") from error


def _first_error(error: "StylesheetParseError | TokenError") -> str:
    from textual.css.stylesheet import StylesheetParseError

    if not isinstance(error, StylesheetParseError):
        return f", line {error.start[0]}: not valid as a stylesheet"
    token, message = next(found for rule in error.errors.rules for found in rule.errors)
    return f", line {token.location[0] + 1}: {message if isinstance(message, str) else message.summary}"

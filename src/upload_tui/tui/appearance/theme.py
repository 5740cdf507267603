"""Themes, colour tokens and stylesheets. Stylesheets use tokens; only this module has colours."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

from upload_tui.errors import SettingsError, StyleError, did_you_mean

if TYPE_CHECKING:
    from textual.css.stylesheet import Stylesheet, StylesheetParseError
    from textual.css.tokenizer import TokenError

__all__ = [
    "DEFAULT_THEME",
    "FEW_COLOURS_THEME",
    "STYLESHEETS",
    "THEMES",
    "TOKEN_DEFAULTS",
    "check_stylesheets",
    "complete_stylesheet",
    "read_theme",
    "stylesheet_paths",
    "theme_for",
    "widget_tokens",
]

DEFAULT_THEME = "upload-dark"
FEW_COLOURS_THEME = "upload-ansi"
_MANY_COLOURS = {"256", "truecolor"}


_TOKEN_NAMES = (
    "stage-initiated",
    "stage-completed",
    "stage-verified",
    "stage-error",
    "overdue",
    "row-cursor",
    "row-highlight",
    "quiet",
    "faint",
)


def _tokens(*colours: str) -> dict[str, str]:
    """The colours of the tokens, in the order of `_TOKEN_NAMES`.

    `stage-error` is also for what contradicts itself. `overdue` is for overdue and stuck uploads alone. `quiet` is for secondary
    text, `faint` for what is no longer certain, such as uploads that are gone.
    """
    return dict(zip(_TOKEN_NAMES, colours, strict=True))


# The stages of a theme are at least 10 apart (CIEDE2000) in normal, protan, deutan and tritan vision, in the safe themes 20. All
# colours of text have a contrast of 4.5:1 on each background of the theme, `faint` 3:1. A test computes both.
_DARK = Theme(
    name="upload-dark",
    primary="#58a6ff",
    secondary="#79c0ff",
    accent="#a5d6ff",
    warning="#ffb02f",
    error="#ff5c5a",
    success="#6ccf90",
    foreground="#d7dde5",
    background="#0d1117",
    surface="#11161d",
    panel="#1b222c",
    dark=True,
    variables=_tokens(
        "#45a1ff", "#c7bbf3", "#6ccf90", "#ff5c5a", "#ffb02f", "#16293f", "#1f2937", "#939fae", "#727d8c"
    ),
)

_LIGHT = Theme(
    name="upload-light",
    primary="#0757ba",
    secondary="#0a5bc4",
    accent="#0550ae",
    warning="#925816",
    error="#ad020c",
    success="#116931",
    foreground="#1f2328",
    background="#ffffff",
    surface="#f8f9fb",
    panel="#e9edf2",
    dark=False,
    variables=_tokens(
        "#0c4098", "#6c57bd", "#116931", "#ad020c", "#925816", "#e2edfb", "#e8eef7", "#57606a", "#737c88"
    ),
)

_SAFE_DARK = Theme(
    name="upload-safe-dark",
    primary="#6ba3ff",
    secondary="#6ba3ff",
    accent="#a5c8ff",
    warning="#f3b73d",
    error="#fd6d53",
    success="#9bf3c8",
    foreground="#dfe4ea",
    background="#0e1116",
    surface="#12161c",
    panel="#1d242d",
    dark=True,
    variables=_tokens(
        "#5b93fb", "#d5d1f1", "#9bf3c8", "#fd6d53", "#f3b73d", "#142a3d", "#222c37", "#95a1ae", "#75808e"
    ),
)

_SAFE_LIGHT = Theme(
    name="upload-safe-light",
    primary="#005a8f",
    secondary="#00598c",
    accent="#005a8f",
    warning="#a35200",
    error="#850708",
    success="#25725e",
    foreground="#1c2024",
    background="#ffffff",
    surface="#f8f9fa",
    panel="#e8ecef",
    dark=False,
    variables=_tokens(
        "#022d4a", "#705ca2", "#25725e", "#850708", "#a35200", "#e0eff9", "#e6f1f8", "#555e66", "#727a82"
    ),
)

_CONTRAST = Theme(
    name="upload-contrast",
    primary="#7cc4ff",
    secondary="#ffffff",
    accent="#ffff66",
    warning="#f8bd2c",
    error="#ff695e",
    success="#67ff8c",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    dark=True,
    variables=_tokens(
        "#52b2ff", "#e4cbff", "#67ff8c", "#ff695e", "#f8bd2c", "#00264d", "#2a2a2a", "#d0d0d0", "#a0a0a0"
    ),
)

TOKEN_DEFAULTS: Mapping[str, str] = MappingProxyType(dict(_DARK.variables))
"""The tokens of themes that do not define them, such as Textual's: stages keep their colours."""

# The terminal's own colours. Its grey is black in some terminals, so the `quiet` token is the default colour here.
_ANSI = Theme(
    name=FEW_COLOURS_THEME,
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_cyan",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        **_tokens(
            "ansi_blue",
            "ansi_cyan",
            "ansi_green",
            "ansi_red",
            "ansi_yellow",
            "ansi_default",
            "ansi_default",
            "ansi_default",
            "ansi_bright_black",
        ),
    },
)

THEMES: tuple[Theme, ...] = (_DARK, _LIGHT, _SAFE_DARK, _SAFE_LIGHT, _CONTRAST, _ANSI)


def theme_for(color_system: str | None, *, no_color: bool, saved: str = "") -> str:
    """The saved or the default theme; for terminals with few colours, or with `NO_COLOR`, the theme of the terminal's own colours."""
    return (saved or DEFAULT_THEME) if color_system in _MANY_COLOURS and not no_color else FEW_COLOURS_THEME


_BASE_COLOURS = (
    "primary",
    "secondary",
    "accent",
    "warning",
    "error",
    "success",
    "foreground",
    "background",
    "surface",
    "panel",
)


def read_theme(name: str, values: Mapping[str, object], source: str) -> Theme:
    """Read a theme from settings such as `primary = "#58a6ff"` or `stage-error = "#f85149"`.

    Args:
        name: the theme's name.
        values: colours by key, and `dark` as a boolean; `primary` is required.
        source: where the settings are, for error messages.

    Raises:
        SettingsError: a key is unknown, a value is not a colour, or `primary` is missing.
    """
    colours = {key: value for key, value in values.items() if key != "dark"}
    known = (*_BASE_COLOURS, *TOKEN_DEFAULTS)
    for key, value in colours.items():
        if key not in known:
            hint = did_you_mean(key, known, otherwise=f"Known keys: dark, {', '.join(known)}.")
            raise SettingsError(f"{source} has the unknown key {key}", hint)
        if not _is_colour(value):
            raise SettingsError(f"{source}: {key} is not a colour", 'Write a colour such as "#58a6ff".')
    if "primary" not in colours or not isinstance(values.get("dark", True), bool):
        raise SettingsError(f"{source} needs primary as a colour, and dark as true or false", "Add or correct them.")
    base: dict[str, Any] = {key: value for key, value in colours.items() if key in _BASE_COLOURS}
    tokens = {key: str(value) for key, value in colours.items() if key in TOKEN_DEFAULTS}
    return Theme(name=name, dark=bool(values.get("dark", True)), variables=tokens, **base)


def _is_colour(value: object) -> bool:
    try:
        Color.parse(str(value))
    except ColorParseError:
        return False
    return isinstance(value, str)


def widget_tokens(*, is_dark: bool = True) -> dict[str, str]:
    """The colour tokens that the widgets need in another app, for `App.get_theme_variable_defaults`.

    Args:
        is_dark: whether the app's background is dark.

    >>> from upload_tui.widgets import widget_tokens
    >>> sorted(widget_tokens(is_dark=False))[-1]
    'stage-verified'
    """
    return dict((_DARK if is_dark else _LIGHT).variables)


STYLESHEETS = ("app.tcss", "widgets.tcss", "dashboard.tcss", "dialogs.tcss")
"""A later one overrides an earlier one. The first frame does not need the last one, which is read with the first dialog."""


@cache
def stylesheet_paths(sheets: tuple[str, ...] = STYLESHEETS) -> tuple[Path, ...]:
    """The absolute paths of stylesheets, in the given order.

    Raises:
        StyleError: the installation is incomplete.
    """
    package = Path(__file__).resolve().parents[2]
    folders = (package / "styles", package.parent.parent / "styles")
    for folder in folders:
        paths = tuple(folder / sheet for sheet in sheets)
        if all(path.is_file() for path in paths):
            return paths
    raise StyleError(f"The stylesheets are missing below {package}", "Install upload-tui again.")


def complete_stylesheet(stylesheet: "Stylesheet") -> None:
    """Add what the first frame does not need, before the user's own stylesheets, which override it."""
    paths, sources = stylesheet_paths(), stylesheet.source
    if stylesheet.has_source(str(paths[-1])):
        return
    own = [place for place, source in sources.items() if not source.is_defaults and Path(place[0]) not in paths]
    moved = {place: sources.pop(place) for place in own}
    stylesheet.read(paths[-1])
    sources.update(moved)
    stylesheet.parse()


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

    variables = {**TOKEN_DEFAULTS, **BUILTIN_THEMES["ansi-dark"].to_color_system().generate()}
    variables |= THEMES[0].to_color_system().generate()
    for path in paths:
        sheet = Stylesheet(variables=variables)
        try:
            _read_sheet(sheet, path)
            sheet.parse()
        except (StylesheetParseError, TokenError) as error:
            raise SettingsError(f"{path}{_first_error(error)}", "Fix or remove it.") from error
        except StylesheetError as error:
            raise SettingsError(f"{path} cannot be read", "Make it a file that can be read, or remove it.") from error


def _read_sheet(sheet: "Stylesheet", path: Path) -> None:
    from textual.css.errors import StylesheetError

    if not path.is_file():  # Textual reads it again later, which a pipe does not allow
        raise StylesheetError
    sheet.read(path)


def _first_error(error: "StylesheetParseError | TokenError") -> str:
    from textual.css.stylesheet import StylesheetParseError

    if not isinstance(error, StylesheetParseError):
        return f", line {error.start[0]}: not valid as a stylesheet"
    token, message = next(found for rule in error.errors.rules for found in rule.errors)
    return f", line {token.location[0] + 1}: {message if isinstance(message, str) else message.summary}"

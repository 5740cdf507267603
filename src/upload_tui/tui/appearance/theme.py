"""Themes and colour tokens. Stylesheets use tokens; only this module has colours."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

from upload_tui.errors import SettingsError
from upload_tui.text import did_you_mean

__all__ = ["DEFAULT_THEME", "FEW_COLOURS_THEME", "THEMES", "TOKEN_DEFAULTS", "read_theme", "theme_for", "widget_tokens"]

DEFAULT_THEME = "upload-dark"
FEW_COLOURS_THEME = "upload-ansi"
_MANY_COLOURS = {"256", "truecolor"}


def _tokens(  # one parameter for each token, in the order of TOKEN_DEFAULTS
    initiated: str, completed: str, verified: str, error: str, cursor: str, glow: str, quiet: str, faint: str
) -> dict[str, str]:
    return {
        "stage-initiated": initiated,
        "stage-completed": completed,
        "stage-verified": verified,
        "stage-error": error,
        "row-cursor": cursor,
        "row-glow": glow,
        "quiet": quiet,
        "faint": faint,
    }


TOKEN_DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "stage-initiated": "#58a6ff",
        "stage-completed": "#d29922",
        "stage-verified": "#3fb950",
        "stage-error": "#f85149",
        "row-cursor": "#264f78",
        "row-glow": "#30363d",
        "quiet": "#8b949e",
        "faint": "#6e7681",
    }
)
"""The tokens of themes that do not define them, such as Textual's: stages keep their colours."""

_DARK = Theme(
    name="upload-dark",
    primary="#58a6ff",
    secondary="#79c0ff",
    accent="#a5d6ff",
    warning="#e3a33a",
    error="#ff6b63",
    success="#4cc160",
    foreground="#d7dde5",
    background="#0d1117",
    surface="#11161d",
    panel="#1b222c",
    dark=True,
    variables=_tokens("#58a6ff", "#e3a33a", "#4cc160", "#ff6b63", "#1f3a5c", "#243044", "#8f9bab", "#667180"),
)

_LIGHT = Theme(
    name="upload-light",
    primary="#0757ba",
    secondary="#0a69da",
    accent="#0550ae",
    warning="#8a5a00",
    error="#b3111d",
    success="#10672a",
    foreground="#1f2328",
    background="#ffffff",
    surface="#f8f9fb",
    panel="#e9edf2",
    dark=False,
    variables=_tokens("#0757ba", "#8a5a00", "#10672a", "#b3111d", "#cfe2fb", "#e3ecf7", "#57606a", "#818b98"),
)

# Blue, orange, bluish green and vermilion of Okabe and Ito, distinct with every common colour blindness.
_SAFE_DARK = Theme(
    name="upload-safe-dark",
    primary="#56b4e9",
    secondary="#56b4e9",
    accent="#8ecdf2",
    warning="#f0b429",
    error="#ff7f50",
    success="#2fd1a5",
    foreground="#dfe4ea",
    background="#0e1116",
    surface="#12161c",
    panel="#1d242d",
    dark=True,
    variables=_tokens("#56b4e9", "#f0e442", "#2fd1a5", "#ff7f50", "#1d3b54", "#26313d", "#94a0ad", "#6b7785"),
)

_SAFE_LIGHT = Theme(
    name="upload-safe-light",
    primary="#005a8f",
    secondary="#0072b2",
    accent="#005a8f",
    warning="#8f6000",
    error="#a83c00",
    success="#00684d",
    foreground="#1c2024",
    background="#ffffff",
    surface="#f8f9fa",
    panel="#e8ecef",
    dark=False,
    variables=_tokens("#005a8f", "#8f6000", "#00684d", "#a83c00", "#cde4f3", "#e2eef6", "#555e66", "#808890"),
)

_CONTRAST = Theme(
    name="upload-contrast",
    primary="#7cc4ff",
    secondary="#ffffff",
    accent="#ffff66",
    warning="#ffd633",
    error="#ff8a80",
    success="#66ff8c",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    dark=True,
    variables=_tokens("#7cc4ff", "#ffd633", "#66ff8c", "#ff8a80", "#004a99", "#333333", "#d0d0d0", "#a0a0a0"),
)

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
            "ansi_yellow",
            "ansi_green",
            "ansi_red",
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

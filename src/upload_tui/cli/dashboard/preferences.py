"""The preferences of the dashboard: from settings, saved choices, the config folder and the environment."""

import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from upload_tui.cli.dashboard.saved_choices import (
    configured_columns,
    save_columns,
    save_theme,
    saved_columns,
    saved_theme,
)
from upload_tui.cli.support.environment import terminal_locale
from upload_tui.errors import SettingsError
from upload_tui.locations import config_folder, working_folder
from upload_tui.settings import ServiceSettings
from upload_tui.text import did_you_mean
from upload_tui.text_files import read_text

if TYPE_CHECKING:
    from textual.theme import Theme

    from upload_tui.tui import DisplayOptions, Glyphs, Preferences

__all__ = ["dashboard_preferences"]


def _default_preferences() -> "Preferences":
    """The preferences without any settings."""
    from upload_tui.tui import Preferences, check_stylesheets

    sheets = sorted(config_folder().glob("styles/*.tcss"))
    check_stylesheets(sheets)
    return Preferences(
        themes=_user_themes(),
        stylesheets=sheets,
        export_folder=working_folder(),
        is_animated=not _is_over_ssh(),
    )


def dashboard_preferences(settings: ServiceSettings, services: Sequence[tuple[str, str]] = ()) -> "Preferences":
    """Make the preferences of a dashboard.

    Args:
        settings: the effective settings.
        services: root URL and title of each service if there are several; otherwise empty.

    Raises:
        SettingsError: the settings name an unknown theme, column or action, or a theme or style sheet of the user is invalid.
    """
    from msgspec.structs import replace

    from upload_tui.tui import AlertSettings

    defaults = _default_preferences()
    _check_keys(settings)
    themes = _known_themes(defaults.themes)
    _check_theme(settings, themes)
    return replace(
        defaults,
        display_options=_display_options(settings, tuple(services)),
        theme=settings.theme,
        saved_theme=saved_theme(themes),
        keymap=settings.keys,
        save_columns=save_columns,
        save_theme=save_theme,
        is_animated=defaults.is_animated if settings.animations is None else settings.animations,
        alerts=AlertSettings(
            bell="bell" in settings.alerts,
            desktop="desktop" in settings.alerts,
            quiet_seconds=settings.alert_repeat_seconds,
        ),
    )


def _is_over_ssh() -> bool:
    """True if animations would be sent over a network."""
    return "SSH_CONNECTION" in os.environ or "SSH_TTY" in os.environ


def _display_options(settings: ServiceSettings, services: tuple[tuple[str, str], ...]) -> "DisplayOptions":
    from upload_tui.tui import DisplayOptions

    return DisplayOptions(
        _glyphs(settings.signs),
        zone=settings.zone,
        columns=configured_columns(settings),
        services=services,
        view_columns=() if settings.columns else saved_columns(),
    )


def _glyphs(signs: str) -> "Glyphs":
    from upload_tui.tui import ASCII, UNICODE, glyphs_for

    if signs == "unicode":
        _use_utf8()
        return UNICODE
    if signs:
        return ASCII
    return glyphs_for(sys.stdout.encoding, terminal_locale(os.environ))


def _use_utf8() -> None:
    """Encode what is drawn in UTF-8: the setting overrides the locale."""
    if isinstance(sys.__stdout__, io.TextIOWrapper):
        sys.__stdout__.reconfigure(encoding="utf-8")


def _check_keys(settings: ServiceSettings) -> None:
    if not settings.keys:
        return
    from upload_tui.tui import action_ids

    actions = action_ids()
    for action in settings.keys:
        if action not in actions:
            hint = did_you_mean(action, actions, otherwise=f"Known actions: {', '.join(actions)}.")
            raise SettingsError(f"{settings.sources['keys']}: keys has the unknown action {action}", hint)


def _known_themes(user_themes: "Sequence[Theme]") -> list[str]:
    from textual.theme import BUILTIN_THEMES

    from upload_tui.tui import THEMES

    return sorted({*BUILTIN_THEMES, *(theme.name for theme in (*THEMES, *user_themes))})


def _check_theme(settings: ServiceSettings, known: Sequence[str]) -> None:
    if settings.theme and settings.theme not in known:
        hint = did_you_mean(settings.theme, known, otherwise=f"Known themes: {', '.join(known)}.")
        raise SettingsError(f"{settings.sources['theme']}: there is no theme {settings.theme}", hint)


def _user_themes() -> "list[Theme]":
    """Read the user's themes: `themes/NAME.toml` in the config folder, with colours as keys."""
    files = sorted(config_folder().glob("themes/*.toml"))
    if not files:
        return []
    import tomllib

    from upload_tui.tui import read_theme

    themes = []
    for file in files:
        try:
            colours = tomllib.loads(read_text(file))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{file} cannot be read: {error}", "Correct it, or move it away.") from error
        themes.append(read_theme(file.stem, colours, str(file)))
    return themes

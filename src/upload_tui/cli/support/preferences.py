"""The preferences of the dashboard, from settings and the environment, and the choices saved for the next session."""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from upload_tui.cli.support.environment import terminal_locale
from upload_tui.cli.support.user_commands import (
    change_hooks,
    configured_commands,
    merged_entries,
    merged_keymap,
    naming_setting,
    open_command,
    own_keys,
    run_program,
)
from upload_tui.cli.support.visits import VisitKey, digest, visit_key
from upload_tui.errors import SettingsError, StorageError, did_you_mean
from upload_tui.files import (
    config_folder,
    failure_reason,
    parse_toml,
    read_text,
    state_folder,
    working_folder,
    write_hint,
    write_private_file,
)
from upload_tui.redaction import redact_registered, redact_text
from upload_tui.settings import ServiceSettings

if TYPE_CHECKING:
    from textual.theme import Theme

    from upload_tui.tui import (
        AlertSettings,
        ColumnSpec,
        DisplayOptions,
        Glyphs,
        Preferences,
        ScreenState,
        TableOrder,
        UploadCommand,
        View,
        ViewKind,
    )

__all__ = [
    "dashboard_preferences",
    "save_columns",
    "save_state",
    "save_theme",
    "save_views",
    "saved_theme",
]

_THEME = "theme"
_VIEWS = "views"
_MAX_QUERY_CHARACTERS = 500


def _configured_columns(settings: ServiceSettings) -> "tuple[ColumnSpec, ...]":
    """The columns of the settings, for every kind of view; empty if the settings name none.

    Raises:
        SettingsError: the settings name an unknown column.
    """
    from upload_tui.tui import parse_columns

    try:
        return parse_columns(settings.columns)
    except SettingsError as error:
        raise SettingsError(f"{settings.sources['columns']}: {error.title}", error.hint) from error


def _saved_columns() -> "tuple[tuple[ViewKind, tuple[ColumnSpec, ...]], ...]":
    """The saved columns of each kind of view that has any."""
    from upload_tui.tui import ViewKind, parse_columns

    saved = []
    for view in ViewKind:
        try:
            columns = parse_columns(_read_choice(_columns_file(view)).split())
        except SettingsError:  # a damaged file only loses that choice
            continue
        if columns:
            saved.append((view, columns))
    return tuple(saved)


def saved_theme(known: Sequence[str]) -> str:
    """The saved theme; empty if there is none, or if it is not in `known`."""
    name = _read_choice(_THEME)
    return name if name in known else ""


def save_columns(view: "ViewKind", columns: "Sequence[ColumnSpec]") -> None:
    """Save the columns of a kind of view.

    Raises:
        StorageError: the file cannot be written.
    """
    _write_choice(_columns_file(view), " ".join(map(str, columns)))


def _columns_file(view: "ViewKind") -> str:
    from upload_tui.tui import ViewKind

    return "columns" if view is ViewKind.PROJECT else f"columns-{view}"


def save_theme(name: str) -> None:
    """Save the theme's name.

    Raises:
        StorageError: the file cannot be written.
    """
    _write_choice(_THEME, name)


def save_views(views: "Sequence[View]") -> None:
    """Save the views that were saved from the screen.

    Raises:
        StorageError: the file cannot be written.
    """
    from msgspec import json

    _write_choice(_VIEWS, json.encode(views).decode())


def save_state(key: VisitKey, state: "ScreenState") -> None:
    """Save how the dashboard was left, for these services and projects, without queries that contain a secret.

    Raises:
        StorageError: the file cannot be written.
    """
    from msgspec import json
    from msgspec.structs import replace

    from upload_tui.tui import MAX_SEARCHES

    searches = filter(_can_be_saved, state.searches)
    merged = [*dict.fromkeys((*searches, *_saved_state(key).searches))]  # another dashboard may have saved some
    query = state.query if _can_be_saved(state.query) else ""
    state = replace(state, query=query, searches=tuple(merged[:MAX_SEARCHES]))
    _write_choice(_state_file(key), json.encode(state).decode())


def _can_be_saved(query: str) -> bool:
    """Whether a query is of a usual length and contains no secret, such as a token that was pasted by mistake."""
    return len(query) <= _MAX_QUERY_CHARACTERS and redact_text(redact_registered(query)) == query


def _state_file(key: VisitKey) -> str:
    """The name of the file; without a service it is that of the demo and of replays."""
    return f"screens/{digest([*key.services, *sorted(key.projects)])}.json"


def _saved_state(key: VisitKey) -> "ScreenState":
    """How the dashboard was left; the demo and replays keep no filters. The default if there is no valid file."""
    from msgspec import DecodeError, json

    from upload_tui.tui import ScreenState

    try:
        state = json.decode(_read_choice(_state_file(key)), type=ScreenState)
    except DecodeError:
        return ScreenState()
    if key.services:
        return state
    return ScreenState(state.order, is_roomy=state.is_roomy, searches=state.searches)


def _views(profiles: Sequence[ServiceSettings]) -> "Sequence[View]":
    """The views of the profiles, and those that were saved from the screen, which replace them."""
    from msgspec import DecodeError, json

    from upload_tui.tui import View

    try:
        saved = json.decode(_read_choice(_VIEWS), type=list[View])
    except DecodeError:
        saved = []
    names = {view.name for view in saved}
    return (*(view for view in merged_entries(profiles, "view", _configured_views) if view.name not in names), *saved)


def _configured_views(settings: ServiceSettings) -> "Iterator[View]":
    """Yield the views of the settings.

    Raises:
        SettingsError: a query, an order, a column or a key is invalid.
    """
    if not settings.views:  # the first frame then needs no parser
        return
    from upload_tui.monitor import parse_query
    from upload_tui.tui import View, parse_columns

    keys = own_keys(settings)
    for name, view in settings.views.items():
        with naming_setting(settings, "views", name):
            parse_query(view.query)
            order = _parse_order(view.order) if view.order else None
            yield View(name, view.query, order, parse_columns(view.columns), keys["view", name])


def _parse_order(text: str) -> "TableOrder":
    from upload_tui.monitor import SortKey
    from upload_tui.tui import TableOrder

    try:
        return TableOrder.parse(text)
    except ValueError:
        hint = did_you_mean(text.removeprefix("-"), [*SortKey], otherwise=f"Known orders: {', '.join(SortKey)}.")
        raise SettingsError(f"there is no order {text}", hint) from None


def _read_choice(name: str) -> str:
    """Read a saved choice; empty if there is none, or if it cannot be read."""
    try:
        return read_text(state_folder() / name)
    except (OSError, ValueError):
        return ""


def _write_choice(name: str, text: str) -> None:
    """Write a choice by replacing the whole file."""
    file = state_folder() / name
    try:
        write_private_file(file, text)
    except OSError as error:
        raise StorageError(f"The {name} cannot be saved in {file}: {error.strerror}", write_hint(error)) from error


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


def dashboard_preferences(*all_settings: ServiceSettings) -> "Preferences":
    """Make the preferences of a dashboard over the services of these settings; the display options are those of the first.

    Raises:
        SettingsError: the settings name an unknown theme, column or action, or a theme or style sheet of the user is invalid, or
            two profiles differ in a view, a command or a key.
    """
    from msgspec.structs import replace

    settings, by_service = all_settings[0], _by_service(all_settings)
    defaults = _default_preferences()
    _check_keys(all_settings)
    themes = _known_themes(defaults.themes)
    _check_theme(settings, themes)
    return replace(
        defaults,
        display_options=_display_options(settings, tuple((root, one.title) for root, one in by_service.items())),
        theme=settings.theme,
        saved_theme=saved_theme(themes),
        keymap=merged_keymap(all_settings),
        save_columns=save_columns,
        save_theme=save_theme,
        state=_saved_state(visit_key(all_settings)),
        views=_views(all_settings),
        commands=_commands(all_settings),
        upload_url=settings.upload_url,
        upload_urls={root: one.upload_url for root, one in by_service.items()},
        on_change=tuple(
            hook for root, one in (by_service or {"": settings}).items() for hook in change_hooks(one, root)
        ),
        run_program=run_program,
        save_views=save_views,
        is_animated=defaults.is_animated if settings.animations is None else settings.animations,
        alerts=_alerts(settings),
        service_alerts={root: _alerts(one) for root, one in by_service.items()},
    )


def _by_service(profiles: Sequence[ServiceSettings]) -> dict[str, ServiceSettings]:
    """The settings by the root URL of their service, if there are several services; else none."""
    if len(profiles) == 1:  # a dashboard of one service, or of none, needs no import
        return {}
    from upload_tui.cli.access.service import service_of

    return {service_of(one): one for one in profiles}


def _commands(profiles: Sequence[ServiceSettings]) -> "tuple[UploadCommand, ...]":
    commands = merged_entries(profiles, "command", configured_commands)
    has_open = any(command.name == "open" for command in commands)
    return (*commands, *([] if has_open else [open_command()]))


def _alerts(settings: ServiceSettings) -> "AlertSettings":
    from upload_tui.tui import AlertSettings

    alerts = settings.alerts
    return AlertSettings("bell" in alerts, "desktop" in alerts, settings.alert_repeat_seconds)


def _is_over_ssh() -> bool:
    """True if animations would be sent over a network."""
    return "SSH_CONNECTION" in os.environ or "SSH_TTY" in os.environ


def _display_options(settings: ServiceSettings, services: tuple[tuple[str, str], ...]) -> "DisplayOptions":
    from upload_tui.tui import DisplayOptions

    return DisplayOptions(
        _glyphs(settings.signs),
        zone=settings.zone,
        columns=_configured_columns(settings),
        services=services,
        view_columns=() if settings.columns else _saved_columns(),
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
    """Write standard output in UTF-8: the setting `signs` overrides the locale."""
    if isinstance(sys.__stdout__, io.TextIOWrapper):
        sys.__stdout__.reconfigure(encoding="utf-8")


def _check_keys(profiles: Sequence[ServiceSettings]) -> None:
    if not any(settings.keys for settings in profiles):
        return
    from upload_tui.tui import action_ids

    actions = action_ids()
    for settings, action in ((one, action) for one in profiles for action in one.keys):
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
    from upload_tui.tui import read_theme

    themes = []
    for file in files:
        try:
            colours = parse_toml(read_text(file))
        except (OSError, ValueError) as error:
            reason = failure_reason(error)
            raise SettingsError(f"{file} cannot be read: {reason}", "Correct it, or move it away.") from error
        themes.append(read_theme(file.stem, colours, str(file)))
    return themes

"""."""

from typing import TYPE_CHECKING

from upload_tui.lazy import lazy_names

if TYPE_CHECKING:
    from upload_tui.settings.profiles import settings_schema
    from upload_tui.settings.service_settings import (
        COMMAND_LINE,
        PER_SERVICE_KEYS,
        Flags,
        ServiceSettings,
        SettingsPaths,
        read_display_settings,
        read_settings,
        read_token_file,
    )

__all__ = [
    "COMMAND_LINE",
    "PER_SERVICE_KEYS",
    "Flags",
    "ServiceSettings",
    "SettingsPaths",
    "read_display_settings",
    "read_settings",
    "read_token_file",
    "settings_schema",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "profiles": ("settings_schema",),
        "service_settings": (
            "COMMAND_LINE",
            "Flags",
            "PER_SERVICE_KEYS",
            "ServiceSettings",
            "SettingsPaths",
            "read_display_settings",
            "read_settings",
            "read_token_file",
        ),
    },
)

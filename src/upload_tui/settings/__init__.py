"""Settings: defaults, a profile, environment variables and flags, merged and validated once.

Owns the settings file and the order of precedence. Only `cli` imports it; it knows neither the service nor the dashboard. Importing
it does not import pydantic.
"""

from typing import TYPE_CHECKING

from upload_tui.lazy import lazy_names

if TYPE_CHECKING:
    from upload_tui.settings.keys import DEFAULTS, FLAG_KEYS, KEYS, PER_SERVICE_KEYS, Key
    from upload_tui.settings.layers import COMMAND_LINE, Flags, SettingsPaths
    from upload_tui.settings.profiles import settings_schema
    from upload_tui.settings.service_settings import (
        SOURCE_REFRESH_SECONDS,
        ServiceSettings,
        read_display_settings,
        read_settings,
        read_token_file,
    )

__all__ = [
    "COMMAND_LINE",
    "DEFAULTS",
    "FLAG_KEYS",
    "KEYS",
    "PER_SERVICE_KEYS",
    "SOURCE_REFRESH_SECONDS",
    "Flags",
    "Key",
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
        "keys": "DEFAULTS FLAG_KEYS KEYS PER_SERVICE_KEYS Key",
        "layers": "COMMAND_LINE Flags SettingsPaths",
        "profiles": "settings_schema",
        "service_settings": "read_display_settings read_settings read_token_file ServiceSettings SOURCE_REFRESH_SECONDS",
    },
)

"""The keys of a profile: environment variable, default, and how each is treated. Types and help are in `profiles.Profile`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

__all__ = [
    "CREDENTIAL_KEYS",
    "DEFAULTS",
    "ENV_PREFIX",
    "KEYS",
    "PER_SERVICE_KEYS",
    "PROFILE_VARIABLE",
    "VARIABLES",
    "Key",
]

ENV_PREFIX = "UPLOAD_TUI_"
PROFILE_VARIABLE = f"{ENV_PREFIX}PROFILE"


class Key(Struct, frozen=True):
    """One key of a profile.

    Attributes:
        name: in the settings file.
        default: None if there is none.
        is_credential: part of a way to authenticate.
        is_per_service: useless or harmful at another service; true for credentials.
        is_list: its variable holds a comma-separated list.
        is_free_text: any text is valid, so that a variable with it is read without importing pydantic.
        variable: the environment variable; None if there is none, empty for the usual name.
    """

    name: str
    default: Any = None
    is_credential: bool = False
    is_per_service: bool = False
    is_list: bool = False
    is_free_text: bool = False
    variable: str | None = ""


KEYS = (
    Key("url", is_per_service=True, is_free_text=True),
    Key("command", is_per_service=True, variable=None),
    Key("timeout", 30.0, is_per_service=True),
    Key("projects", (), is_per_service=True, variable="UPLOAD_TUI_PROJECT"),
    Key("token", is_credential=True, is_free_text=True),
    Key("token_command", is_credential=True),
    Key("token_file", is_credential=True),
    Key("token_keyring", is_credential=True, is_free_text=True),
    Key("agent_key", is_credential=True, is_free_text=True),
    Key("user_key", is_credential=True, is_free_text=True),
    Key("refresh", 1.0),
    Key("requests_per_minute", 60),
    Key("stuck_after", 900.0),
    Key("failures_for", 86400.0),
    Key("timezone"),
    Key("theme", is_free_text=True),
    Key("signs"),
    Key("animations"),
    Key("columns", is_list=True),
    Key("keys", variable=None),
    Key("views", variable=None),
    Key("commands", variable=None),
    Key("upload_url", is_per_service=True, variable=None),
    Key("on_error"),
    Key("on_change", variable=None),
    Key("alerts", is_list=True),
    Key("alert_repeat", 60.0),
    Key("ca_bundle"),
)

VARIABLES: Mapping[str, Key] = MappingProxyType(
    {key.variable or f"{ENV_PREFIX}{key.name.upper()}": key for key in KEYS if key.variable is not None}
)
DEFAULTS: Mapping[str, Any] = MappingProxyType({key.name: key.default for key in KEYS if key.default is not None})
CREDENTIAL_KEYS = frozenset(key.name for key in KEYS if key.is_credential)
PER_SERVICE_KEYS = CREDENTIAL_KEYS | {key.name for key in KEYS if key.is_per_service}

"""Hide secrets in JSON values, before anything of them is read, shown or stored."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from upload_tui.errors import InvalidResponseError
from upload_tui.redaction import redact_named_value, redact_text
from upload_tui.wire.bodies import MAX_DEPTH

__all__ = ["redact_name", "redact_value"]


def redact_value(value: Any, depth: int = 0) -> Any:
    """Copy a JSON value with every secret hidden; `depth` is the number of levels between its entry and the value.

    Raises:
        InvalidResponseError: it is nested too deeply.
    """
    if depth > MAX_DEPTH:
        raise InvalidResponseError("The service listed an entry that is nested too deeply")
    match value:
        case str():
            return redact_text(value)
        case list():
            return [redact_value(entry, depth + 1) for entry in value]
        case dict():
            return {
                _redact_key(key): _redact_entry(_name_of_pair(value, key), entry, depth + 1)
                for key, entry in value.items()
            }
        case _:
            return value


def redact_name(name: str) -> str:
    """Hide the secrets of a name with a URL; any other name is shown as it is, such as `token=1.txt`."""
    is_plain = name.isascii() and name.isprintable()
    has_url = "://" in name if is_plain else ":" in name and name.count("/") > 1  # something invisible may be between
    return redact_text(name) if has_url else name


@lru_cache(maxsize=1024)
def _redact_key(key: str) -> str:
    return redact_text(key)


def _redact_entry(name: str, entry: Any, depth: int) -> Any:
    """Redact the value of a field. An id is shown as it is: without it, an upload cannot be requested or found again."""
    if isinstance(entry, str) and name in {"id", "name"}:
        return entry if name == "id" else redact_name(entry)
    return redact_value(redact_named_value(name, entry), depth)


def _name_of_pair(fields: Mapping[str, Any], key: str) -> str:
    """What an entry is called: of the value in `{"name": "X-Auth-Token", "value": …}` the name; else its key."""
    names = [
        fields[other] for other in ("name", "key", "header") if key == "value" and isinstance(fields.get(other), str)
    ]
    return names[0] if names else key

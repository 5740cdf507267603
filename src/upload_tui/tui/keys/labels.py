"""How keys are written for people: `^p` for control and p, `↓` for down, or `Down` in plain ASCII."""

from collections.abc import Sequence
from typing import Any

from textual.binding import ActiveBinding
from textual.screen import Screen

__all__ = ["key_label", "key_of", "keys_of", "keys_text"]

_LABELS = {
    "down": "↓",
    "up": "↑",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
    "enter": "Enter",
    "escape": "Esc",
    "space": "Space",
    "tab": "Tab",
    "slash": "/",
    "question_mark": "?",
    "exclamation_mark": "!",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "full_stop": ".",
    "plus": "+",
    "minus": "-",
}


_ASCII_LABELS = {"down": "Down", "up": "Up"}


def key_label(key: str, *, is_ascii: bool = False) -> str:
    """A key's name as people write it; with nothing but ASCII if it `is_ascii`."""
    if is_ascii and key in _ASCII_LABELS:
        return _ASCII_LABELS[key]
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    return _LABELS.get(key, key)


def keys_of(screen: Screen[Any]) -> list[tuple[ActiveBinding, list[str]]]:
    """Each action of ours that works on a screen, once, and how its keys are written."""
    found: dict[str, tuple[ActiveBinding, list[str]]] = {}
    for active in screen.active_bindings.values():
        if active.binding.id is not None and active.enabled:
            _, keys = found.setdefault(active.binding.id, (active, []))
            keys.append(screen.app.get_key_display(active.binding))
    return list(found.values())


def keys_text(keys: Sequence[str]) -> str:
    """Several keys in one text, letters first: `j ↓`."""
    return " ".join(sorted(dict.fromkeys(keys), key=lambda key: len(key) > 1 or not key.isascii()))


def key_of(screen: Screen[Any], binding_id: str) -> str:
    """How the first of the keys is written that do this on a screen; empty if none does."""
    return next((keys[0] for active, keys in keys_of(screen) if active.binding.id == binding_id), "")

"""How keys are written on screen: `^p` for Ctrl+P, `↓` for Down, or `Down` in ASCII."""

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
    """How a key is written; `is_ascii` uses ASCII characters only."""
    if is_ascii and key in _ASCII_LABELS:
        return _ASCII_LABELS[key]
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    return _LABELS.get(key, key)


def keys_of(screen: Screen[Any]) -> list[tuple[ActiveBinding, list[str]]]:
    """The bindings with an id that are active on a screen, each once, with the labels of its keys."""
    found: dict[str, tuple[ActiveBinding, list[str]]] = {}
    for active in screen.active_bindings.values():
        if active.binding.id is not None and active.enabled:
            _, keys = found.setdefault(active.binding.id, (active, []))
            keys.append(screen.app.get_key_display(active.binding))
    return list(found.values())


def keys_text(keys: Sequence[str]) -> str:
    """The labels of several keys, letters first: `j ↓`."""
    return " ".join(sorted(dict.fromkeys(keys), key=lambda key: len(key) > 1 or not key.isascii()))


def key_of(screen: Screen[Any], binding_id: str) -> str:
    """The label of the first active key of a binding; empty if it has none."""
    return next((keys[0] for active, keys in keys_of(screen) if active.binding.id == binding_id), "")

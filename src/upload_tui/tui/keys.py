"""How keys are written for people: `^p` for control and p, `↓` for down, or `Down` in plain ASCII."""

from typing import Any

from textual.screen import Screen

__all__ = ["key_label", "key_of"]

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


_PLAIN_LABELS = {"down": "Down", "up": "Up"}


def key_label(key: str, *, is_plain: bool = False) -> str:
    """A key's name as people write it; with nothing but ASCII if it `is_plain`."""
    if is_plain and key in _PLAIN_LABELS:
        return _PLAIN_LABELS[key]
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    return _LABELS.get(key, key)


def key_of(screen: Screen[Any], binding_id: str) -> str:
    """How the first of the keys is written that do this on a screen; empty if none does."""
    found = (active.binding for active in screen.active_bindings.values() if active.binding.id == binding_id)
    binding = next(found, None)
    return "" if binding is None else screen.app.get_key_display(binding)

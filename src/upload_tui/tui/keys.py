"""How keys are written for people: `^p` for control and p, `↓` for down, or `Down` in plain ASCII."""

__all__ = ["key_label"]

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
}


_PLAIN_LABELS = {"down": "Down", "up": "Up"}


def key_label(key: str, *, is_plain: bool = False) -> str:
    """A key's name as people write it; with nothing but ASCII if it `is_plain`."""
    if is_plain and key in _PLAIN_LABELS:
        return _PLAIN_LABELS[key]
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    return _LABELS.get(key, key)

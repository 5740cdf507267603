"""The one sanitizer for text from outside: everything written to a terminal, a log or a table passes through it."""

import json
import unicodedata
from itertools import groupby, islice

from upload_tui.lazy import lazy_pattern
from upload_tui.redaction import is_invisible, is_zero_width, redact_registered, redact_text

__all__ = ["csv_cell", "escape_invisible", "name_or_id", "sanitize", "sanitize_line", "sanitize_text"]

_MAX_CHARACTERS = 2000
"""Longer texts are cut: no screen shows more, and the full text can still be copied."""
_MAX_LINE_CHARACTERS = 500
_MAX_MARKS = 2
_JOINERS = frozenset("\u200d\ufe0e\ufe0f")
"""Joiners and variation selectors are dropped: terminals agree on the width of separate emoji, not of joined ones."""
_REPLACEMENT = "\ufffd"
_FORMULA = lazy_pattern("(^|;)(?=\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20])")
"""Where a formula begins, which a spreadsheet runs; the wide forms count in some locales, in which a semicolon separates cells."""


def sanitize(text: str, max_characters: int | None = _MAX_CHARACTERS) -> str:
    """Replace everything that a terminal could interpret or that is invisible, one character each, and hide the secrets in use.

    Control characters become control pictures (`␛`), invisible and directional ones `�`. Of consecutive combining marks two
    are kept, as many as Thai and Hebrew need. `max_characters` of None cuts nothing.
    """
    text = redact_registered(text)[:max_characters]
    if text.isascii() and text.isprintable():
        return text
    characters = (_visible_character(one) for one in unicodedata.normalize("NFC", text) if one not in _JOINERS)
    return "".join(_limit_combining_marks("".join(characters)))


def name_or_id(name: str, upload_id: str) -> str:
    """The name of an upload, not sanitized; its id if the name is empty or blank."""
    return name if name.strip() else upload_id


def sanitize_line(text: str) -> str:
    """Sanitize a message for one line, without a full stop at its end, and hide what looks like a secret."""
    text = redact_text(redact_registered(text)[:_MAX_CHARACTERS])
    return sanitize(text[:_MAX_LINE_CHARACTERS]).rstrip(". ") or sanitize(text[:1])


def sanitize_text(text: str) -> str:
    """Sanitize a text of several lines, such as a traceback: each line, but not the ends of lines. Hide what looks like a secret."""
    return "\n".join(map(sanitize, redact_text(redact_registered(text)).split("\n")))


def csv_cell(value: object) -> object:
    """A value for CSV: booleans as JSON writes them; text sanitized, and with an apostrophe before what would be a formula."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    return _FORMULA.sub(r"\1'", sanitize(value, None))


def escape_invisible(json_text: str) -> str:
    """Write what a terminal could interpret, and what is invisible, as escape sequences of JSON."""
    return "".join(
        character
        if character == "\n" or character in _JOINERS or not is_invisible(character)
        else _json_escape(character)
        for character in json_text
    )


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1] if not character.isascii() else f"\\u{ord(character):04x}"


def _visible_character(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if is_invisible(character):
        return _REPLACEMENT
    return " " if character.isspace() else character


def _limit_combining_marks(text: str) -> list[str]:
    kept: list[str] = []
    for is_mark, group in groupby(text, key=is_zero_width):
        if not is_mark:
            kept.extend(group)
        elif kept:
            kept.extend(islice(group, _MAX_MARKS))
    return kept

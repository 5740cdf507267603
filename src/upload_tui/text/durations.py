"""Durations as text, and durations as users type them."""

import re

__all__ = ["age_text", "duration_text", "parse_duration", "span_text"]

_MINUTE, _TEN_MINUTES, _HOUR, _DAY = 60, 600, 3600, 86400
_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def age_text(seconds: float) -> str:
    """An age: `8s`, `4m 05s`, `43m`, `3h 12m`, `12d 4h`, `412d`; from ten minutes on without seconds."""
    return f"{int(seconds) // _MINUTE}m" if _TEN_MINUTES <= seconds < _HOUR else span_text(seconds)


def span_text(seconds: float) -> str:
    """A duration in whole units, at most seven characters: `8s`, `43m 05s`, `3h 12m`, `12d 4h`, `412d`."""
    whole = int(max(seconds, 0))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE:02d}m"
    if whole < 100 * _DAY:
        return f"{whole // _DAY}d {whole % _DAY // _HOUR}h"
    return f"{whole // _DAY}d"


def duration_text(seconds: float) -> str:
    """A measured duration, with a fraction below ten seconds: `0.4s`, `12s`, `4m 05s`."""
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if seconds < 10:
        return f"{seconds:.1f}s"
    return f"{seconds:.0f}s" if seconds < _MINUTE - 0.5 else span_text(round(seconds))


def parse_duration(text: str) -> float | None:
    """The seconds of a duration like `90`, `90s`, `15m`, `2h` or `1d`; None if it is not a duration."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)([smhd]?)", text.strip().lower(), re.ASCII)
    return float(match[1]) * _UNIT_SECONDS[match[2]] if match else None

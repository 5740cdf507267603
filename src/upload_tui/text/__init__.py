"""."""

from typing import TYPE_CHECKING

from upload_tui.lazy import lazy_names

if TYPE_CHECKING:
    from upload_tui.text.formatting import (
        age_text,
        clock_text,
        curl_command,
        duration_text,
        event_text,
        fit_to_width,
        plural,
        sanitize,
        short_clock_text,
        size_text,
        span_text,
        sparkline_text,
        truncate_at_word,
        truncate_middle,
    )

__all__ = [
    "age_text",
    "clock_text",
    "curl_command",
    "duration_text",
    "event_text",
    "fit_to_width",
    "plural",
    "sanitize",
    "short_clock_text",
    "size_text",
    "span_text",
    "sparkline_text",
    "truncate_at_word",
    "truncate_middle",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "formatting": (
            "age_text",
            "clock_text",
            "curl_command",
            "duration_text",
            "event_text",
            "fit_to_width",
            "plural",
            "sanitize",
            "short_clock_text",
            "size_text",
            "span_text",
            "sparkline_text",
            "truncate_at_word",
            "truncate_middle",
        ),
    },
)

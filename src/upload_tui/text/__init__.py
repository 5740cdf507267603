"""Text for people: sizes, durations, times, causes of failure, folding for searches, and the sanitizer for text from outside.

Pure functions for the dashboard, the commands and the settings. They know neither terminals nor widgets, and measure no cells.
"""

from typing import TYPE_CHECKING

from upload_tui.lazy import lazy_names

if TYPE_CHECKING:
    from upload_tui.text.causes import (
        SHORT_CAUSES,
        anomaly_texts,
        cause_with_short,
        cause_words,
        detailed_short_cause,
        failed_chunks,
        short_cause,
    )
    from upload_tui.text.folding import find_folded, fold, is_folded_by_case_alone
    from upload_tui.text.quantities import (
        MOMENT_EXAMPLES,
        age_text,
        clock_text,
        compared_size_text,
        duration_text,
        event_text,
        names_text,
        overrun_text,
        parse_date,
        parse_duration,
        parse_moment,
        parse_size,
        percent_text,
        plural,
        received_text,
        short_clock_text,
        size_text,
        span_text,
        sparkline_text,
    )
    from upload_tui.text.sanitizer import (
        csv_cell,
        escape_invisible,
        name_or_id,
        sanitize,
        sanitize_line,
        sanitize_text,
    )

__all__ = [
    "MOMENT_EXAMPLES",
    "SHORT_CAUSES",
    "age_text",
    "anomaly_texts",
    "clock_text",
    "cause_with_short",
    "cause_words",
    "compared_size_text",
    "csv_cell",
    "detailed_short_cause",
    "duration_text",
    "escape_invisible",
    "event_text",
    "failed_chunks",
    "find_folded",
    "fold",
    "is_folded_by_case_alone",
    "name_or_id",
    "names_text",
    "overrun_text",
    "parse_date",
    "parse_duration",
    "parse_moment",
    "parse_size",
    "percent_text",
    "plural",
    "received_text",
    "sanitize",
    "sanitize_line",
    "sanitize_text",
    "short_cause",
    "short_clock_text",
    "size_text",
    "span_text",
    "sparkline_text",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "causes": "SHORT_CAUSES anomaly_texts cause_with_short cause_words detailed_short_cause failed_chunks short_cause",
        "folding": "find_folded fold is_folded_by_case_alone",
        "quantities": (
            "MOMENT_EXAMPLES age_text clock_text compared_size_text duration_text event_text names_text overrun_text "
            "parse_date parse_duration parse_moment parse_size percent_text plural received_text short_clock_text size_text "
            "span_text sparkline_text"
        ),
        "sanitizer": "csv_cell escape_invisible name_or_id sanitize sanitize_line sanitize_text",
    },
)

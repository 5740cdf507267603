"""Sources: commands that print the uploads that are there now, one JSON object a line, in place of a service.

It owns the contract of a line, the command that prints them, and the protocol of other kinds of sources (`UploadSource`). The
monitor and the commands call it. It knows no store, no screen and no settings.
"""

from typing import TYPE_CHECKING

from upload_tui.lazy import lazy_names

if TYPE_CHECKING:
    from upload_tui.sources.contract import (
        MAX_LINE_BYTES,
        EndLine,
        ErrorKind,
        ErrorLine,
        IgnoredLine,
        Line,
        LineBatch,
        LineReceiver,
        Listing,
        ListingVerdict,
        UnreadableLine,
        UploadLine,
        UploadSource,
        guess_id,
        listing_error,
        parse_line,
    )
    from upload_tui.sources.inspection import Inspection, ListingDifference, compare_inspections, inspect_source
    from upload_tui.sources.process import CommandSource, source_environment
    from upload_tui.sources.records import has_ended, is_same_line, parse_raw, shown_raw, source_reading
    from upload_tui.sources.schema import contract_lines, line_schema
    from upload_tui.sources.summaries import (
        SummarizedLine,
        can_store_as_printed,
        parse_line_summaries,
        printed_lines,
        stored_page,
    )
    from upload_tui.sources.tally import ListingTally
    from upload_tui.sources.uploads import parse_project, parse_source_upload

__all__ = [
    "MAX_LINE_BYTES",
    "CommandSource",
    "EndLine",
    "ErrorKind",
    "ErrorLine",
    "IgnoredLine",
    "Inspection",
    "Line",
    "LineBatch",
    "LineReceiver",
    "Listing",
    "ListingDifference",
    "ListingTally",
    "ListingVerdict",
    "UploadSource",
    "SummarizedLine",
    "UnreadableLine",
    "UploadLine",
    "can_store_as_printed",
    "compare_inspections",
    "contract_lines",
    "guess_id",
    "has_ended",
    "inspect_source",
    "is_same_line",
    "line_schema",
    "listing_error",
    "parse_line",
    "parse_source_upload",
    "printed_lines",
    "parse_line_summaries",
    "parse_project",
    "parse_raw",
    "shown_raw",
    "source_environment",
    "source_reading",
    "stored_page",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "contract": (
            "EndLine ErrorKind ErrorLine guess_id IgnoredLine Line LineBatch LineReceiver Listing listing_error "
            "ListingVerdict MAX_LINE_BYTES parse_line UploadSource UnreadableLine UploadLine"
        ),
        "inspection": "compare_inspections inspect_source Inspection ListingDifference",
        "process": "CommandSource source_environment",
        "records": "has_ended is_same_line parse_raw shown_raw source_reading",
        "schema": "contract_lines line_schema",
        "summaries": "can_store_as_printed printed_lines parse_line_summaries stored_page SummarizedLine",
        "tally": "ListingTally",
        "uploads": "parse_source_upload parse_project",
    },
)

"""Count what a listing has shown, and decide whether it is whole."""

from collections.abc import Set as AbstractSet

from msgspec import Struct, field

from upload_tui.errors import Cause, ServiceError, SourceError
from upload_tui.sources.contract import CHECK_HINT, EndLine, ErrorLine, Listing, listing_error, partial_error
from upload_tui.text import plural

__all__ = ["ListingTally"]

_END_HINT = 'Print {"type": "end", "uploads": N} as the last line of each listing, also of an empty one.'


class ListingTally(Struct):
    """What one listing has shown so far, and what that proves: the same for the synchroniser and for `source check`.

    Once all lines are counted, `error` is the verdict. Without an error, everything that can be read is as the source says, and a
    known upload that is not listed is gone, unless there is an `unlisted_problem`: then it may be on a line that cannot be read.
    """

    keys: dict[str, int] = field(default_factory=dict)
    """The hash of the line of each upload whose lines can be read."""
    upload_count: int = 0
    unreadable_ids: set[str] = field(default_factory=set)
    unreadable_count: int = 0
    repeated_count: int = 0
    """Lines with an id that an earlier line has."""
    repeated_id: str = ""
    first_problem: str = ""
    unidentified_problem: str = ""
    """The first line that cannot be read and whose upload is unknown."""
    end_line: EndLine | None = None
    error_line: ErrorLine | None = None

    def add_upload(self, key: int, upload_id: str) -> bool:
        """Count a line of an upload; False if another line of this upload differs, or cannot be read."""
        self.upload_count += 1
        earlier = self.keys.get(upload_id)
        if earlier is None and upload_id not in self.unreadable_ids:
            self.keys[upload_id] = key
            return True
        self._add_repeated(upload_id)
        if earlier == key:
            return True
        self._add_problem(f"{upload_id[:40]} cannot be read (its lines differ)", upload_id, is_known=True)
        return False

    def drop(self, upload_id: str) -> None:
        """Forget the lines of an upload: they contradict each other, or one cannot be read."""
        self.keys.pop(upload_id, None)

    def add_end(self, line: EndLine) -> None:
        """Note an end line; the numbers of two must agree."""
        if self.end_line is not None and self.end_line != line:
            problem = self.end_line.problem or line.problem or "two end lines disagree on the number of uploads"
            line = EndLine(None, problem)
        self.end_line = line

    def add_of_other_project(self, *, is_repeated: bool) -> None:
        """Count an upload of a project that is not watched; `is_repeated` if the same line came before."""
        self.upload_count += 1
        if is_repeated:
            self._add_repeated("")

    def _add_repeated(self, upload_id: str) -> None:
        self.repeated_count += 1
        self.repeated_id = self.repeated_id or upload_id[:40]

    def add_unreadable(self, number: int, reason: str, upload_id: str, *, is_known: bool) -> None:
        """Count a line that cannot be read; `is_known` if it is certain whose line it is."""
        self.upload_count += 1
        if upload_id and (upload_id in self.keys or upload_id in self.unreadable_ids):
            self._add_repeated(upload_id)
        self._add_problem(f"line {number:,} cannot be read ({reason})", upload_id, is_known=is_known)

    def _add_problem(self, problem: str, upload_id: str, *, is_known: bool) -> None:
        self.unreadable_count += 1
        self.first_problem = self.first_problem or problem
        if upload_id:
            self.unreadable_ids.add(upload_id)
            self.drop(upload_id)
        if not is_known:
            self.unidentified_problem = self.unidentified_problem or problem

    def is_whole(self, listing: Listing, *, had_end: bool = False) -> bool:
        """Whether everything was listed that is there now; `had_end` as in `error`."""
        return not (self.error(listing, had_end=had_end) or self.unlisted_problem)

    def error(
        self, listing: Listing, *, had_end: bool = False, known: AbstractSet[str] = frozenset()
    ) -> ServiceError | None:
        """Why a listing does not count, the first of these reasons; None if it does.

        1. The source says that it failed, or the run failed, or the end line disagrees with the other lines (`failure`).
        2. There is no end line, though nothing else was listed, or earlier listings had one.
        3. A known upload is not listed, and may be on a line that cannot be read: what is known of it may be old.

        Args:
            listing: how it ended.
            had_end: whether earlier listings had an end line.
            known: the uploads that earlier listings had.
        """
        return self.failure(listing) or self._end_error(had_end=had_end) or self._unlisted_error(known)

    def failure(self, listing: Listing) -> ServiceError | None:
        """The first part of `error`, for which nothing else needs to be known; None without such an error."""
        # Lines that cannot be read, such as those of an object on several lines, are the first cause of a wrong number.
        problems = [self.unlisted_problem, self._end_problem] if self._end_problem else []
        return listing_error(listing, self.error_line, "; ".join(filter(None, problems)))

    def _end_error(self, *, had_end: bool) -> SourceError | None:
        if self.end_line is not None or (self.upload_count and not had_end):
            return None
        reason = (
            "there is no end line, which earlier listings had"
            if had_end
            else "nothing was listed, and there is no end line"
        )
        return partial_error(Cause(reason), _END_HINT)

    def _unlisted_error(self, known: AbstractSet[str]) -> SourceError | None:
        count = len(self.unlisted(known)) if self.unlisted_problem else 0
        if not count:
            return None
        lacks = "1 known upload is" if count == 1 else f"{count:,} known uploads are"
        return partial_error(Cause(f"{self.unlisted_problem}; {lacks} not listed"), CHECK_HINT)

    def unlisted(self, known: AbstractSet[str]) -> AbstractSet[str]:
        """Those of the known uploads that no line lists."""
        return known - self.keys.keys() - self.unreadable_ids

    @property
    def readable_count(self) -> int:
        """The number of different uploads whose lines can be read."""
        return len(self.keys)

    @property
    def notice(self) -> str:
        """What of the listing cannot be read, in one sentence without a full stop; empty if all can be read."""
        if self.unlisted_problem:
            return f"partial: {self.unlisted_problem}"
        total = plural(self.upload_count, "upload")
        return (
            f"{self.unreadable_count:,} of {total} cannot be read: {self.first_problem}"
            if self.unreadable_count
            else ""
        )

    @property
    def _end_problem(self) -> str:
        """How the end line disagrees with all lines, also with those after it; empty if it does not."""
        if self.end_line is None or self.end_line.uploads in {None, self.upload_count}:
            return "" if self.end_line is None else self.end_line.problem
        expected = self.end_line.uploads or 0
        if self.upload_count > expected:
            return f"the end line says {plural(expected, 'upload')}, and {self.upload_count:,} were listed"
        return f"{self.upload_count:,} of {expected:,} uploads were listed"

    @property
    def unlisted_problem(self) -> str:
        """Why uploads may be there that are not among those listed: a line without its right id; empty if there is no such line."""
        found = [self.unidentified_problem] if self.unidentified_problem else []
        if found and self.unreadable_count > 1:
            found = [f"{self.unidentified_problem} and {self.unreadable_count - 1:,} more"]
        if self.repeated_count:
            example = f", such as {self.repeated_id}" if self.repeated_id else ""
            lines = "1 line has" if self.repeated_count == 1 else f"{self.repeated_count:,} lines have"
            found.append(f"{lines} an id that was listed before{example}")
        return "; ".join(found)

"""Count what a listing has shown, and decide whether it is whole."""

from collections.abc import Set as AbstractSet

from msgspec import Struct, field

from upload_tui.errors import Cause, ServiceError, SourceError
from upload_tui.sources.contract import CHECK_HINT, EndLine, ErrorLine, Listing, listing_error, partial_error
from upload_tui.text import plural

__all__ = ["ListingTally"]

_END_HINT = 'Print {"type": "end", "uploads": N} as the last line of each listing, also of an empty one.'


class ListingTally(Struct):
    """What one listing has shown so far, and whether it is whole: the verdict of the synchroniser and of `source check`.

    See `is_whole`.
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
    unknown_problem: str = ""
    """The first line that cannot be read and whose upload is unknown."""
    end: EndLine | None = None
    error: ErrorLine | None = None

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

    def refuse(self, upload_id: str) -> None:
        """Believe no line of an upload."""
        self.keys.pop(upload_id, None)

    def add_end(self, line: EndLine) -> None:
        """Note an end line; the numbers of two must agree."""
        if self.end is not None and self.end != line:
            line = EndLine(None, self.end.problem or line.problem or "two end lines disagree on the number of uploads")
        self.end = line

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
            self.refuse(upload_id)
        if not is_known:
            self.unknown_problem = self.unknown_problem or problem

    def is_whole(self, listing: Listing, *, had_end: bool = False) -> bool:
        """Whether everything was listed that is there now; `had_end`: earlier listings had an end line."""
        return not (self.failure(listing) or self.missing_end(had_end=had_end) or self.partial_problem)

    def failure(self, listing: Listing) -> ServiceError | None:
        """The error of a listing that ended before everything was listed, or whose end line disagrees; None if there is none."""
        # Lines that cannot be read, such as those of an object on several lines, are the first cause of a wrong number.
        problems = [self.partial_problem, self._contradiction] if self._contradiction else []
        return listing_error(listing, self.error, "; ".join(filter(None, problems)))

    def missing_end(self, *, had_end: bool = False) -> SourceError | None:
        """The error of a listing without an end line; None if it has one, or needs none. `had_end`: earlier ones had one."""
        if self.end is not None or (self.upload_count and not had_end):
            return None
        reason = (
            "there is no end line, which earlier listings had"
            if had_end
            else "nothing was listed, and there is no end line"
        )
        return partial_error(Cause(reason), _END_HINT)

    def missing(self, known: AbstractSet[str]) -> AbstractSet[str]:
        """Those of the known uploads that no line lists."""
        return known - self.keys.keys() - self.unreadable_ids

    def lacking(self, known: AbstractSet[str]) -> SourceError | None:
        """The error of a listing that is not whole and lacks known uploads: what it says of them may be old; None for any other."""
        missing = len(self.missing(known)) if self.partial_problem else 0
        if not missing:
            return None
        lacks = "1 known upload is" if missing == 1 else f"{missing:,} known uploads are"
        return partial_error(Cause(f"{self.partial_problem}; {lacks} not listed"), CHECK_HINT)

    @property
    def notice(self) -> str:
        """What of the listing cannot be read, in one sentence without a full stop; empty if all can be read."""
        if self.partial_problem:
            return f"partial: {self.partial_problem}"
        total = plural(self.upload_count, "upload")
        return (
            f"{self.unreadable_count:,} of {total} cannot be read: {self.first_problem}"
            if self.unreadable_count
            else ""
        )

    @property
    def _contradiction(self) -> str:
        """How the line of type `end` disagrees with all lines, also with those after it; empty if it does not."""
        if self.end is None or self.end.uploads in {None, self.upload_count}:
            return "" if self.end is None else self.end.problem
        expected = self.end.uploads or 0
        if self.upload_count > expected:
            return f"the end line says {plural(expected, 'upload')}, and {self.upload_count:,} were listed"
        return f"{self.upload_count:,} of {expected:,} uploads were listed"

    @property
    def partial_problem(self) -> str:
        """Why uploads may be there that no line is known to list; empty if there is no reason."""
        found = [self.unknown_problem] if self.unknown_problem else []
        if found and self.unreadable_count > 1:
            found = [f"{self.unknown_problem} and {self.unreadable_count - 1:,} more"]
        if self.repeated_count:
            example = f", such as {self.repeated_id}" if self.repeated_id else ""
            lines = "1 line has" if self.repeated_count == 1 else f"{self.repeated_count:,} lines have"
            found.append(f"{lines} an id that was listed before{example}")
        return "; ".join(found)

r"""The parser of queries as users write them.

The grammar, which `/`, `--where`, views and alerts share (README, "Queries")::

    query = or                            field = NAME operator value { "," value }
    or    = and { "OR" and }              operator = ":" | "=" | "!=" | ">" | ">=" | "<" | "<="
    and   = not { ["AND"] not }           value = phrase | characters without blanks, commas and parentheses
    not   = "-" atom | "NOT" not | atom   phrase = '"' characters '"', in which \" and \\ are escapes
    atom  = "(" or ")" | field | phrase | word

`-` negates only directly before an atom that does not begin with `-`. Parentheses within a word, as in `run(1).bin`, belong to it.
`matching` evaluates a tree in memory, `store.conditions` translates it to SQL; both compare texts in folded form.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from upload_tui.errors import QueryError, did_you_mean
from upload_tui.monitor.queries.query import (
    EVERYTHING,
    FIELDS,
    NUMBER_FIELDS,
    SIMILAR_FIELDS,
    STAGE_NAMES,
    TEXT_FIELDS,
    AnyOf,
    Expression,
    Not,
    NumberTerm,
    StageTerm,
    State,
    StateTerm,
    TextTerm,
    TimeTerm,
    Where,
    all_of,
)
from upload_tui.text import fold, parse_date, parse_duration, parse_size

__all__ = ["parse_query", "parse_query_as_typed"]

_MAX_TERMS = 64
_MAX_DEPTH = 16
_MAX_CHARACTERS = 20_000
_MAX_NUMBER = 2**53
"""Larger numbers mean this one: sums with it fit into a column of the store."""


def parse_query(text: str) -> Where:
    """Parse a query of a command or a setting.

    Raises:
        QueryError: it has a mistake or an unknown field, or it is incomplete.
    """
    return Where(text, _Parser(text, is_strict=True).parse())


def parse_query_as_typed(text: str, last: Where | None = None) -> Where:
    """Parse a query while it is typed: an unfinished end is ignored; with any other mistake, `last` stays.

    A field that does not exist is text. The result's `text` is always the given one.
    """
    parser = _Parser(text, is_strict=False)
    try:
        return Where(text, parser.parse(), parser.note)
    except QueryError as error:
        note = f"{error.title}. {error.hint}".strip()
        if not error.is_unfinished:
            return Where(text, last.tree, note, last.applied_text) if last else Where(text, EVERYTHING, note, "")
    complete = text[: parser.complete_end].strip()
    return Where(text, _Parser(complete, is_strict=False).parse(), note, complete)


# The parser

_BLANKS = re.compile(r"\s*")
_KEYWORD = re.compile(r"(?:AND|OR|NOT)(?=[\s()]|$)")
_FIELD = re.compile(r"([A-Za-z_]{2,})(!=|>=|<=|[:=<>])")
_PHRASE = re.compile(r'"((?:\\["\\]|[^"\\]|\\(?!["\\]))*)"')
_ESCAPE = re.compile(r'\\(["\\])')
_WORD = re.compile(r"(?:[^\s()]|\([^\s()]*\))+")
_VALUE = re.compile(r'(?:[^\s(),"]|\([^\s()]*\))(?:[^\s(),]|\([^\s()]*\))*')
_NEGATION = re.compile(r"-(?=[^\s)-])")
_COMMA = re.compile(",")
_UNIT_APART = re.compile(r"[ \t]+([kKMGTP]i?B)(?=[\s()]|$)")
_COMPARISONS = {":": "=", "!=": "="}


class _Scanner:
    """A position in a text, and what is there.

    Args:
        text: the query.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def error(
        self, title: str, hint: str = "", position: int | None = None, *, is_unfinished: bool = False
    ) -> QueryError:
        """A mistake, here if `position` is None."""
        at = self.at if position is None else position
        return QueryError(title, hint, text=self.text, position=at, is_unfinished=is_unfinished)

    def is_at_end(self) -> bool:
        """Whether only blanks follow, which are skipped."""
        self.skip(_BLANKS)
        return self.at == len(self.text)

    def next_is(self, character: str) -> bool:
        """Whether a character is here."""
        return self.text.startswith(character, self.at)

    def keyword(self) -> str:
        """The keyword after blanks, which are skipped; empty if there is none."""
        self.skip(_BLANKS)
        match = _KEYWORD.match(self.text, self.at)
        return match[0] if match else ""

    def skip_keyword(self, keyword: str) -> bool:
        """Skip a keyword; False if it is not here."""
        if self.keyword() != keyword:
            return False
        self.at += len(keyword)
        return True

    def skip(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Skip what matches here; None if nothing does."""
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()
        return match


class _Value(Struct, frozen=True):
    """A value of a field, and the position of its text in the query; `is_last` if the query ends with it."""

    name: str
    text: str
    query: str
    position: int
    is_last: bool

    def error(self, title: str, hint: str, *, is_beginning: bool) -> QueryError:
        """A mistake in the value, which is unfinished if it is the beginning of a right one."""
        is_unfinished = self.is_last and is_beginning
        return QueryError(title, hint, text=self.query, position=self.position, is_unfinished=is_unfinished)


class _Parser:
    """Parses one text by recursive descent.

    Args:
        text: the query.
        is_strict: an unknown field is a mistake; otherwise it is text, with a `note`.
    """

    def __init__(self, text: str, *, is_strict: bool) -> None:
        self._scanner = _Scanner(text)
        self._is_strict = is_strict
        self._depth = 0
        self._terms = 0
        self.note = ""
        self.complete_end = 0
        """The end of the last complete term."""

    def parse(self) -> Expression:
        """The tree of the whole text."""
        if len(self._scanner.text) > _MAX_CHARACTERS:
            title = f"The query is longer than {_MAX_CHARACTERS:,} characters"
            raise self._scanner.error(title, position=_MAX_CHARACTERS)
        if self._scanner.is_at_end():
            return EVERYTHING
        tree = self._parse_or()
        if not self._scanner.is_at_end():
            raise self._scanner.error(
                "This parenthesis closes nothing", 'Write ")" in quotation marks to search for it.'
            )
        return tree

    def _parse_or(self) -> Expression:
        parts = [self._parse_and()]
        while self._scanner.skip_keyword("OR"):
            parts.append(self._parse_and())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _parse_and(self) -> Expression:
        parts = [self._parse_not()]
        while self._scanner.skip_keyword("AND") or self._has_more():
            parts.append(self._parse_not())
        return all_of(*parts)

    def _has_more(self) -> bool:
        """Whether another part follows, without `AND`."""
        return not (self._scanner.is_at_end() or self._scanner.next_is(")") or self._scanner.keyword() == "OR")

    def _parse_not(self) -> Expression:
        if self._scanner.skip_keyword("NOT"):
            return Not(self._deeper(self._parse_not))
        is_negated = self._scanner.skip(_NEGATION) is not None
        atom = self._parse_atom()
        self.complete_end = self._scanner.at
        return Not(atom) if is_negated else atom

    def _parse_atom(self) -> Expression:
        if self._scanner.is_at_end():
            raise self._scanner.error("Something is missing at the end", "Write a word or a field.", is_unfinished=True)
        if (keyword := self._scanner.keyword()) or self._scanner.next_is(")"):
            found = keyword or ")"
            raise self._scanner.error(
                f"A word or a field is missing before {found}", f'"{found}" in quotation marks is text.'
            )
        if self._scanner.next_is("("):
            return self._parse_group()
        if self._scanner.next_is('"'):
            return self._text_term(self._parse_phrase())
        field = _FIELD.match(self._scanner.text, self._scanner.at)
        if field and field[1].lower() in FIELDS:
            self._scanner.at = field.end()
            return self._parse_field(field[1].lower(), field[2], field.start())
        if field:
            self._check_unknown_field(field)
        word = self._scanner.skip(_WORD)
        assert word is not None  # noqa: S101  # every other beginning was handled
        return self._text_term(word[0])

    def _parse_group(self) -> Expression:
        start = self._scanner.at
        self._scanner.at += 1
        tree = self._deeper(self._parse_or)
        if not self._scanner.is_at_end():
            self._scanner.at += 1
        elif self._is_strict:
            raise self._scanner.error('A ")" is missing', "Close the parenthesis.", position=start)
        return tree

    def _deeper(self, parse: "Callable[[], Expression]") -> Expression:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._scanner.error(
                f"The query is nested more than {_MAX_DEPTH} times", "Write it with fewer parentheses."
            )
        tree = parse()
        self._depth -= 1
        return tree

    def _check_unknown_field(self, field: re.Match[str]) -> None:
        word = _WORD.match(self._scanner.text, field.start())
        value = "" if word is None else word[0][len(field[0]) :]
        if not value or value[0] in "/\\":
            return  # an address, a path, or the end of a word
        otherwise = f"Fields: {', '.join(FIELDS)}. In quotation marks it is text." if self._is_strict else ""
        similar = SIMILAR_FIELDS.get(name := field[1].lower())
        hint = f"Did you mean {similar}?" if similar else did_you_mean(name, FIELDS, otherwise=otherwise)
        if self._is_strict:
            raise self._scanner.error(f"There is no field {field[1]}", hint)
        self.note = self.note or hint

    # Fields

    def _parse_field(self, name: str, operator: str, start: int) -> Expression:
        values = [self._parse_value(name, start)]
        while self._scanner.skip(_COMMA):
            values.append(self._parse_value(name, self._scanner.at))
        self._terms += len(values) - 1
        self._count_term()
        if name in NUMBER_FIELDS:
            self._check_unit(values[-1])
            term: Expression = _number_term(name, operator, tuple(map(_number, values)))
            return Not(term) if operator == "!=" else term
        self._check_operator(name, operator, start, values[0].text)
        if name in TEXT_FIELDS:
            folded = tuple(dict.fromkeys(fold(value.text) for value in values))
            term = TextTerm(name, folded, operator != ":")
        else:
            term = _special_term(name, values)
        return Not(term) if operator == "!=" else term

    def _check_operator(self, name: str, operator: str, start: int, value: str) -> None:
        if operator not in {":", "=", "!="}:
            hint = f"Write {name}:{value}." if name in {"since", "until"} else f"Write {name}: or {name}!=."
            raise self._scanner.error(f"{name} cannot be compared with {operator}", hint, position=start)

    def _check_unit(self, value: _Value) -> None:
        """Refuse, or note, a unit after a blank: it would be a word of its own."""
        unit = _UNIT_APART.match(self._scanner.text, self._scanner.at)
        if unit and value.name == "size" and value.text.replace(".", "", 1).isdecimal():
            hint = f"Write {value.text}{unit[1]}, without a blank."
            if self._is_strict:
                raise self._scanner.error("The unit stands apart from its number", hint, unit.start(1))
            self.note = self.note or hint

    def _parse_value(self, name: str, start: int) -> _Value:
        at, query = self._scanner.at, self._scanner.text
        if self._scanner.next_is('"'):
            return _Value(name, self._parse_phrase(start), query, at, is_last=False)
        value = self._scanner.skip(_VALUE)
        if value is None:
            is_unfinished = not query[at:].strip()
            raise self._scanner.error(
                f"{name} needs a value", f"{name}: {FIELDS[name]}.", start, is_unfinished=is_unfinished
            )
        return _Value(name, value[0], query, at, is_last=self._scanner.at == len(query))

    def _parse_phrase(self, start: int | None = None) -> str:
        phrase = self._scanner.skip(_PHRASE)
        if phrase is None:
            position = self._scanner.at if start is None else start
            raise self._scanner.error(
                "A quotation mark is not closed", 'Write " at the end.', position, is_unfinished=True
            )
        return _ESCAPE.sub(r"\1", phrase[1])

    def _text_term(self, text: str) -> Expression:
        self._count_term()
        folded = fold(text)
        return TextTerm("", (folded,)) if folded else EVERYTHING

    def _count_term(self) -> None:
        self._terms += 1
        if self._terms > _MAX_TERMS:
            hint = "Write a long text in quotation marks."
            raise self._scanner.error(f"The query has more than {_MAX_TERMS} words and values", hint)


def _special_term(name: str, values: Sequence[_Value]) -> Expression:
    """A term of `stage`, `is`, `since` or `until`."""
    if name == "stage":
        return StageTerm(frozenset(_choice(value, STAGE_NAMES) for value in values))
    if name == "is":
        return StateTerm(frozenset(State(_choice(value, tuple(State))) for value in values))
    terms = tuple(map(_time_term, values))
    return terms[0] if len(terms) == 1 else AnyOf(terms)


def _choice(value: _Value, choices: Sequence[str]) -> str:
    folded = fold(value.text)
    if folded in choices:
        return folded
    is_beginning = any(one.startswith(folded) for one in choices)
    hint = did_you_mean(folded, choices, otherwise=f"{value.name}: {', '.join(choices)}.")
    raise value.error(f"{value.text} is no value of {value.name}", hint, is_beginning=is_beginning)


def _time_term(value: _Value) -> TimeTerm:
    seconds = parse_duration(value.text)
    on = None if seconds is not None else parse_date(value.text)
    if seconds is None and on is None:
        raise value.error(
            f"{value.text} is neither a duration like 2h nor a time like 2026-03-14T09:26",
            f"{value.name}: {FIELDS[value.name]}.",
            is_beginning=re.fullmatch(r"\d[\d:.TZ+-]*", value.text) is not None,
        )
    return TimeTerm(None if seconds is None else min(seconds, _MAX_NUMBER / 1000), on, value.name == "until")


def _number_term(name: str, operator: str, numbers: tuple[int, ...]) -> Expression:
    return NumberTerm(name, _COMPARISONS.get(operator, operator), numbers)


def _number(value: _Value) -> int:
    number = _NUMBERS[value.name](value.text)
    if number is None:
        title = f"{value.text} cannot be compared with {value.name}"
        hint = f"{value.name}: {NUMBER_FIELDS[value.name]}."
        raise value.error(title, hint, is_beginning=re.fullmatch(r"[\d.]+", value.text) is not None)
    return min(number, _MAX_NUMBER)


def _milliseconds(text: str) -> int | None:
    seconds = parse_duration(text)
    return None if seconds is None else round(seconds * 1000)


def _count(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


_NUMBERS: Mapping[str, Callable[[str], int | None]] = {
    "size": parse_size,
    "age": _milliseconds,
    "took": _milliseconds,
    "chunks": _count,
}

"""Queries are parsed as the grammar says, for which lark is the second opinion; mistakes are named where they are."""

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lark import Lark, Transformer
from lark.exceptions import LarkError

from upload_tui.errors import QueryError
from upload_tui.monitor import CHANGE_FIELDS, UPLOAD_FIELDS
from upload_tui.monitor.queries.completion import complete_query
from upload_tui.monitor.queries.parser import parse_query, parse_query_as_typed
from upload_tui.monitor.queries.query import (
    EVERYTHING,
    FIELDS,
    STAGE_NAMES,
    UNKNOWN_STAGE,
    AnyOf,
    Expression,
    Not,
    NumberTerm,
    StageTerm,
    State,
    TextTerm,
    Where,
    all_of,
    needs_upload,
    text_terms,
)
from upload_tui.text import find_folded, fold
from upload_tui.tui.appearance.columns import ColumnKey

GRAMMAR = r"""
    ?start: or |                                     -> nothing
    or: and (OR and)*
    and: not (AND? not)*
    ?not: NOT not                                    -> negated
        | MINUS atom                                 -> negated
        | atom
    ?atom: "(" or ")"
        | FIELD value (COMMA value)*                 -> field
        | PHRASE                                     -> phrase
        | WORD                                       -> word
    !value: VALUE | VALUE_PHRASE

    OR.6: /OR(?=[\s()]|$)/
    AND.6: /AND(?=[\s()]|$)/
    NOT.6: /NOT(?=[\s()]|$)/
    MINUS.5: /-(?=[^\s)-])/
    COMMA.7: /(?<=\S),/
    FIELD.4: /(?i:FIELDS)(?:!=|>=|<=|[:=<>])/
    PHRASE.3: /"(?:\\["\\]|[^"\\]|\\(?!["\\]))*"/
    VALUE_PHRASE.3: /(?<=[:=<>,])"(?:\\["\\]|[^"\\]|\\(?!["\\]))*"/
    VALUE.2: /(?<=[:=<>,])(?:[^\s(),"]|\([^\s()]*\))(?:[^\s(),]|\([^\s()]*\))*/
    WORD.1: /(?!["(]|(?:OR|AND|NOT)(?:[\s()]|$))(?:[^\s()]|\([^\s()]*\))+/
    %ignore /\s+/
""".replace("FIELDS", "|".join(FIELDS))


class Builder(Transformer[Any, Expression]):
    """Makes the tree; the values of a field are not its subject, so it leaves them to the parser."""

    def nothing(self, _: list[Any]) -> Expression:
        return EVERYTHING

    def negated(self, parts: list[Any]) -> Expression:
        return Not(parts[-1])

    def word(self, parts: list[Any]) -> Expression:
        if re.match(r"[A-Za-z_]{2,}(?:!=|>=|<=|[:=<>])(?![/\\]|$)", parts[0]):
            raise LarkError("no such field")
        return TextTerm("", (fold(parts[0]),))

    def phrase(self, parts: list[Any]) -> Expression:
        folded = fold(re.sub(r'\\(["\\])', r"\1", parts[0][1:-1]))
        return TextTerm("", (folded,)) if folded else EVERYTHING

    def value(self, parts: list[Any]) -> str:
        return str(parts[0])

    def field(self, parts: list[Any]) -> Expression:
        return parse_query("".join(map(str, parts))).tree


def _or(_: Any, parts: list[Any]) -> Expression:
    parts = [part for part in parts if not isinstance(part, str)]
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


def _and(_: Any, parts: list[Any]) -> Expression:
    return all_of(*(part for part in parts if not isinstance(part, str)))


setattr(Builder, "or", _or)
setattr(Builder, "and", _and)
LARK = Lark(GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=False)
PIECES = st.sampled_from([
    "a", "É", "-", "--", "(", ")", '"', '"b c"', "OR", "AND", "NOT", "ORDER", " ", "  ", "stage:", "error", ",", "size>", "1MB",
    "name:", "is!=", "stuck", "\\", "x(1)", "foo:", "a:", ":", "http://", "C:\\x", "2026-03-14T09:00", "a-b", "Name=", '"\\""', "\n",
])  # fmt: skip


def parsed_by_lark(text: str) -> "Expression | None":
    """The tree; None if the text has a mistake."""
    try:
        return Builder().transform(LARK.parse(text))
    except LarkError:
        return None


@given(st.lists(PIECES, max_size=9).map("".join))
@example("a OR b c AND -d")
@example("run(1).bin (run(1).bin)")
@example("size>1 ,2")
@example("foo:(a)")
def test_both_parsers_agree(text: str) -> None:
    try:
        own: Expression | None = parse_query(text).tree
    except QueryError:
        own = None
    assert own == parsed_by_lark(text)


def word(text: str) -> TextTerm:
    return TextTerm("", (text,))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", EVERYTHING),
        ("  ", EVERYTHING),
        ('""', EVERYTHING),
        ("É Straße", all_of(word("e"), word("strasse"))),
        ("-a", Not(word("a"))),
        ("a-b", word("a-b")),
        ("- a", all_of(word("-"), word("a"))),
        ("--dry-run", word("--dry-run")),
        ('-"a b"', Not(word("a b"))),
        ("2026-03-14T09:00", word("2026-03-14t09:00")),
        (r"C:\x", word(r"c:\x")),
        ("https://x/y", word("https://x/y")),
        ("or and not", all_of(word("or"), word("and"), word("not"))),
        ("a OR b c", AnyOf((word("a"), all_of(word("b"), word("c"))))),
        ("(a OR b) c", all_of(AnyOf((word("a"), word("b"))), word("c"))),
        ("a(1).bin", word("a(1).bin")),
        ("stage:error,Completed", StageTerm(frozenset({"error", "completed"}))),
        ("STAGE=error", StageTerm(frozenset({"error"}))),
        ("size>100MB", NumberTerm("size", ">", (100_000_000,))),
        ("size<=1.5MiB", NumberTerm("size", "<=", (1_572_864,))),
        ("size!=1", Not(NumberTerm("size", "=", (1,)))),
        ("age>1h30m", NumberTerm("age", ">", (5_400_000,))),
        ('by:"Ana María",b', TextTerm("by", ("ana maria", "b"))),
        ('name="a"', TextTerm("name", ("a",), is_exact=True)),
        (r'"say \"hi\" \\ C:\x"', word(r'say "hi" \ c:\x')),
    ],
)
def test_a_query_is_parsed(text: str, tree: Expression) -> None:
    assert parse_query(text).tree == tree


@pytest.mark.parametrize(
    ("text", "position", "hint"),
    [
        ("sise>1", 0, "Did you mean size?"),
        ("a note:x", 2, "Did you mean error?"),
        ("acknowledged:yes", 0, "Did you mean is:acknowledged?"),
        ("a stage:verifed", 8, "Did you mean verified?"),
        ("stage:error,", 12, "stage: initiated, completed, verified or error."),
        ("since>1h", 0, "Write since:1h."),
        ("size>100 MB", 9, "Write 100MB, without a blank."),
        ("is:stcuk", 3, "Did you mean stuck?"),
        ("size>", 0, "size: bytes, as in size>100MB or size<1GiB."),
        ("size>big", 5, "size: bytes, as in size>100MB or size<1GiB."),
        ("since:tomorrow", 6, "since: initiated since then, as in since:2h or since:2026-11-01."),
        ("name>a", 0, "Write name: or name!=."),
        ('a "b', 2, 'Write " at the end.'),
        ("(a", 0, "Close the parenthesis."),
        ("a)", 1, 'Write ")" in quotation marks to search for it.'),
        ("a OR", 4, "Write a word or a field."),
        ("OR a", 0, '"OR" in quotation marks is text.'),
        ("a " * 65, 129, "Write a long text in quotation marks."),
        ("(" * 17 + "a" + ")" * 17, 17, "Write it with fewer parentheses."),
    ],
)
def test_a_mistake_is_named_where_it_is(text: str, position: int, hint: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(text)
    assert (caught.value.position, caught.value.hint, caught.value.text) == (position, hint, text)


NAMES_ON_SCREEN = {
    *UPLOAD_FIELDS,
    *CHANGE_FIELDS,
    *map(str, State),
    *STAGE_NAMES,
    *ColumnKey,
    "bytes",
    "user",
    "status",
}


@pytest.mark.parametrize("name", sorted(NAMES_ON_SCREEN - {*FIELDS, UNKNOWN_STAGE}))
def test_a_name_that_is_seen_elsewhere_leads_to_its_field(name: str) -> None:
    """The names of the output for scripts, of columns and of states."""
    hint = parse_query_as_typed(f"{name}:1").note
    field, _, value = hint.removeprefix("Did you mean ").removesuffix("?").partition(":")
    assert field in FIELDS
    assert not value or parse_query(f"{field}:{value}").text


UNFINISHED = [
    "size>",
    "-size>",
    '"op',
    "is:",
    "is:stu",
    "stage:err",
    "since:2026-1",
    "size>1.",
    "OR",
    "NOT",
    "-(",
    "name:a,",
]


@pytest.mark.parametrize("end", UNFINISHED)
def test_an_unfinished_end_is_ignored_while_it_is_typed(end: str) -> None:
    where = parse_query_as_typed(f"scan {end}", last=parse_query("other"))
    assert where.tree == word("scan")
    assert where.note


def test_with_another_mistake_the_last_result_stays() -> None:
    last = parse_query("scan")
    where = parse_query_as_typed("scan stage:verifed and", last)
    note = "verifed is no value of stage. Did you mean verified?"
    assert where == Where("scan stage:verifed and", last.tree, note, tree_text="scan")


def test_an_unknown_field_is_text_with_a_suggestion_while_it_is_typed() -> None:
    assert parse_query_as_typed("sise>1") == Where("sise>1", word("sise>1"), "Did you mean size?")


@given(st.lists(PIECES, max_size=9).map("".join))
def test_every_beginning_of_a_query_can_be_typed(text: str) -> None:
    where = Where()
    for end in range(len(text) + 1):
        where = parse_query_as_typed(text[:end], where)
        assert where.text == text[:end]


def test_terms_that_are_contained_are_known_for_highlighting() -> None:
    tree = parse_query('É -b (c OR "d e") name:f stage:error').tree
    assert text_terms(tree) == ["e", "c", "d e"]
    assert text_terms(tree, ("", "name")) == ["e", "c", "d e", "f"]


@pytest.mark.parametrize(
    ("text", "is_needed"), [("a stage:error project:p", False), ("-(a OR size>1)", True), ("is:failed", False)]
)
def test_a_change_alone_is_enough_for_some_queries(text: str, is_needed: bool) -> None:
    assert needs_upload(parse_query(text).tree) is is_needed


@pytest.mark.parametrize(
    ("text", "term", "ranges"),
    [
        ("Straße", "ss", [(4, 5)]),
        ("E\u0301a É", "e", [(0, 2), (4, 5)]),
        ("aaa", "a", [(0, 3)]),
        ("İx", "i", [(0, 1)]),
        ("a\nb", "a b", [(0, 3)]),
        ("abc", "", []),
    ],
)
def test_folded_matches_are_found_in_the_original_text(text: str, term: str, ranges: list[tuple[int, int]]) -> None:
    assert list(find_folded(text, [term])) == ranges


@pytest.mark.parametrize(
    ("text", "completed", "field"),
    [
        ("", "", ""),
        ("s", "", ""),
        ("sta", "stage:", "stage"),
        ("scan siz", "scan size>", "size"),
        ("-is:st", "-is:stuck", "is"),
        ("stage:e", "stage:error", "stage"),
        ("size>", "", "size"),
        ("nam", "name:genome", "name"),
        ("name:genome", "", "name"),
        ("zzz", "", ""),
        ("(stage:v", "(stage:verified", "stage"),
    ],
)
def test_a_query_is_completed(text: str, completed: str, field: str) -> None:
    found = complete_query(text, ["name:genome"])
    assert (found.text, found.help.partition(":")[0]) == (completed, field)


@given(st.text(), st.text())
def test_folding_is_idempotent_and_works_on_parts(one: str, other: str) -> None:
    assert fold(fold(one)) == fold(one)
    assert fold(one + other) == fold(one) + fold(other)

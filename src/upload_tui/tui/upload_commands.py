"""Commands of the user on uploads: their arguments with values of an upload in them, and the page of an upload.

All values come from a service, so they may be hostile: each stays in its argument, and none becomes an option or another address.
"""

import json
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from upload_tui.errors import did_you_mean
from upload_tui.lazy import lazy_pattern
from upload_tui.monitor import UPLOAD_FIELDS, Detail, UploadChange, Where, flat_upload, upload_record
from upload_tui.redaction import HIDDEN, page_problem
from upload_tui.status import Ability

__all__ = [
    "ArgumentValues",
    "ChangeHook",
    "CommandOutput",
    "CommandResult",
    "ProgramRun",
    "UploadCommand",
    "argument_values",
    "check_fields",
    "rendered_arguments",
]

_FIELD = lazy_pattern(r"\{\{(\w+)\}\}|\{(\w+)\}")
"""`{{name}}` is the text `{name}`, `{name}` a field."""
_ADDED_FIELDS = ("by", "upload_url")
_SHELLS = frozenset({"sh", "ash", "bash", "dash", "fish", "ksh", "mksh", "zsh"})
_OPTIONS_END = "--"


class ArgumentValues(Struct, frozen=True):
    """What the arguments of a command can have of an upload.

    Attributes:
        fields: its fields as texts; unknown ones are empty.
        page_problem: why it has no page, for an empty `upload_url`.
    """

    fields: Mapping[str, str]
    page_problem: str


class CommandResult(Struct, frozen=True):
    """How a program of the user ended.

    Attributes:
        text: one line with the program and its end, not sanitized.
        is_ok: it was started and ended with exit code 0.
        output, errors: its standard output and standard error, not sanitized; empty if they were discarded.
    """

    text: str
    is_ok: bool
    output: str = ""
    errors: str = ""


class CommandOutput(StrEnum):
    """Where the standard output of a command goes."""

    DISCARD = "discard"
    NOTIFICATION = "notice"
    """Its first lines are shown as a notification."""
    SHOW = "show"
    """A dialog shows it."""


class UploadCommand(Struct, frozen=True):
    """A command that the user runs on uploads.

    Attributes:
        arguments: the program and its arguments, with `{field}` for values of an upload.
        key: that runs it; empty if there is none.
        needs_confirmation: ask before it runs.
        timeout_seconds: after which it is killed; None means never.
    """

    name: str
    arguments: tuple[str, ...]
    key: str = ""
    needs_confirmation: bool = False
    output: CommandOutput = CommandOutput.DISCARD
    timeout_seconds: float | None = None

    @property
    def is_for_each(self) -> bool:
        """True if it runs once for each upload; without a field it runs once for all."""
        return any(list(_fields_of(argument)) for argument in self.arguments)


class ProgramRun(Struct, frozen=True):
    """A program to run: its arguments, its standard input, whether its output is kept, and its time limit."""

    arguments: tuple[str, ...]
    data: str
    keeps_output: bool = False
    timeout_seconds: float | None = None


class ChangeHook(Struct, frozen=True):
    """What runs for changes that match a query, oldest first.

    Attributes:
        service: whose changes it gets; empty for all.
    """

    where: Where
    run: Callable[[Sequence[UploadChange]], Coroutine[None, None, CommandResult]]
    service: str = ""


def _fields_of(template: str) -> Iterator[str]:
    return (match[2] for match in _FIELD.finditer(template) if match[2])


def check_fields(templates: Sequence[str]) -> None:
    """Check the fields of a program and its arguments.

    Raises:
        ValueError: a field does not exist, or the program or the script of a shell has one.
    """
    known = (*UPLOAD_FIELDS, *_ADDED_FIELDS)
    for name in (name for template in templates for name in _fields_of(template)):
        if name not in known:
            hint = did_you_mean(name, known, otherwise=f"Fields: {', '.join(known)}.")
            raise ValueError(f"uploads have no field {name}. {hint}")
    if list(_fields_of(templates[0])):
        raise ValueError("the program has a field, so that an upload could choose what runs")
    if PurePath(templates[0]).name in _SHELLS and any(map(_has_field_in_script, pairwise(templates[1:]))):
        raise ValueError(
            'the script of a shell has a field, which would run: use "$1" there, then sh and the field as arguments'
        )


def _has_field_in_script(options: tuple[str, str]) -> bool:
    """Whether the first of two arguments is an option like `-c`, and the second, its script, has a field."""
    option, script = options
    is_script = option.startswith("-") and not option.startswith("--") and option.endswith("c")
    return is_script and any(_fields_of(script))


def argument_values(detail: Detail, url_template: str) -> ArgumentValues:
    """The values of an upload. `url_template` is the setting `upload_url`."""
    record: Mapping[str, Any] = {**flat_upload(upload_record(detail)), "by": detail.row.uploader}
    values = {name: _text(value) for name, value in record.items()}
    line = json.loads(detail.raw or "{}") if detail.upload.origin.has(Ability.PAGES) else None
    url = _text(line.get("url")) if isinstance(line, dict) else ""
    problem = _url_problem(url)
    page = _page(values, url_template) if problem or not url else url
    return ArgumentValues(
        {**values, "upload_url": page}, problem or "the upload has no page; set upload_url in the profile"
    )


def _url_problem(url: str) -> str:
    """Why the address that a source gave cannot be opened; empty if it can, or if there is none."""
    if url == HIDDEN:  # a host that is certain would be shown
        return "its url is not an http(s) address, or has a user"
    problem = page_problem(url.replace(HIDDEN, "?")) if url else ""
    return f"its url {problem}" if problem else ""


def _text(value: object) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    # An argument can hold neither NUL nor a lone surrogate.
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _page(values: Mapping[str, str], url_template: str) -> str:
    """The address of an upload's page by the setting; empty if there is none.

    Values in it are quoted, so that they stay within their part of the path or the query.
    """
    used = [values[name] for name in _fields_of(url_template) if name in values]
    if any(value in {"", ".", ".."} for value in used):  # these would be another page
        return ""
    return _FIELD.sub(lambda match: quote(values[match[2]], safe="") if match[2] else f"{{{match[1]}}}", url_template)


def rendered_arguments(arguments: Sequence[str], values: ArgumentValues) -> tuple[str, ...]:
    """The arguments with the values of an upload.

    Raises:
        ValueError: the upload has no page, or a value would become an option of the program.
    """
    rendered: list[str] = []
    for template in arguments:
        if "upload_url" in _fields_of(template) and not values.fields["upload_url"]:
            raise ValueError(values.page_problem)
        text = _FIELD.sub(lambda match: values.fields[match[2]] if match[2] else f"{{{match[1]}}}", template)
        if text.startswith("-") and not template.startswith("-") and _OPTIONS_END not in arguments[: len(rendered)]:
            raise ValueError(f"{text[:40]} would be an option of {arguments[0]}; put -- before {template}")
        rendered.append(text)
    return tuple(rendered)

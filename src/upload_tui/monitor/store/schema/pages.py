"""How the JSON of a page is stored, and what the migrations read of it."""

import zlib
from typing import Any

from msgspec import MsgspecError, Struct
from msgspec.json import decode, encode

__all__ = ["compress_page", "decompress_page", "page_types"]

_COMPRESSION_LEVEL = 1
"""Compresses a page to a tenth, and takes less time than writing it uncompressed."""


def compress_page(body: bytes) -> bytes:
    """A page's body as it is stored."""
    return zlib.compress(body, _COMPRESSION_LEVEL)


def decompress_page(data: bytes) -> bytes:
    """A stored page's body; empty if it is damaged."""
    try:
        return zlib.decompress(data)
    except zlib.error:
        return b""


class _Typed(Struct):
    content_type: Any = None


class _TypedPage(Struct):
    results: list[_Typed]


def page_types(body: bytes | str) -> str:
    """The content types of the uploads of a compressed page, or of the JSON of one upload, as a JSON list."""
    try:
        if isinstance(body, str):
            return encode([_type_of(decode(body, type=_Typed))]).decode()
        return encode([*map(_type_of, decode(decompress_page(body), type=_TypedPage).results)]).decode()
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return "[]"


def _type_of(upload: _Typed) -> str:
    return upload.content_type if isinstance(upload.content_type, str) else ""

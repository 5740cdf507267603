"""Hide secrets: those that this program uses, wherever they are quoted, and those that a service's response contains.

The secrets in use are registered where they are read; `redact_registered` hides them at the point of output, and in responses before
they are stored. Others are recognized by their key, or by their form: a password or a query in a URL, a bearer token, `token=…`.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from upload_tui.addresses import USER_INFO_SIGNS, has_user_info, safe_origin
from upload_tui.lazy import lazy_pattern

__all__ = [
    "HIDDEN",
    "forget_secrets",
    "is_invisible",
    "is_secret_key",
    "is_zero_width",
    "may_contain_secret",
    "may_escape_ascii",
    "page_problem",
    "redact_named_value",
    "redact_registered",
    "redact_registered_json",
    "redact_text",
    "register_secrets",
]

HIDDEN = "(hidden)"

_MIN_CHARACTERS = 6
"""Shorter secrets are not hidden: they would be found in the middle of usual words."""
_secrets: list[str] = []
"""The longest first: one may contain another."""


def register_secrets(secrets: Iterable[str]) -> None:
    """Hide these secrets from now on, also in the forms that a URL and JSON give them."""
    import json  # here, because each start imports this module
    from urllib.parse import quote

    forms: set[str] = set()
    for secret in secrets:
        for line in secret.split("\n"):
            if len(text := line.strip()) >= _MIN_CHARACTERS:
                quoted = json.dumps(text)[1:-1]
                forms.update((text, quoted, quoted.replace("/", "\\/"), quote(text, safe=""), quote(text)))
    _secrets[:] = sorted({*_secrets, *forms}, key=lambda form: (-len(form), form))


def forget_secrets() -> None:
    """Hide none of the registered secrets any more."""
    _secrets.clear()


def redact_registered(text: str) -> str:
    """Hide the registered secrets in a text."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text


def redact_registered_json(body: bytes) -> bytes:
    """Hide the registered secrets in a body, which stays valid JSON if it is: a digit of a secret becomes a 1."""
    for secret in _secrets:
        if (encoded := secret.encode("utf-8", "replace")) in body:
            body = body.replace(encoded, b"1" * len(encoded) if secret.isdecimal() else HIDDEN.encode())
    return body


_SECRET_WORDS = frozenset({
    "token", "secret", "password", "passwd", "passphrase", "pwd", "authorization", "auth", "credential", "cookie", "session",
    "jwt", "bearer", "signature", "sig", "apikey", "accesskey", "secretkey", "privatekey", "signedurl"
})  # fmt: skip
_KEY_OWNERS = frozenset({
    "api", "access", "agent", "user", "secret", "private", "signing", "encryption", "account", "shared", "master", "storage",
    "client"
})  # fmt: skip
_URL_WORDS = frozenset(["url", "uri", "href", "link"])
_MAX_CACHED_NAMES = 1024
"""A service and a source use the same names in each entry; the limit is for hostile ones."""
_WORD = lazy_pattern(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@lru_cache(maxsize=_MAX_CACHED_NAMES)
def is_secret_key(name: str) -> bool:
    """True if the value of a JSON key or a header is a secret: `api_token`, `X-Auth-Token`, `secretAccessKey`, `cookie`."""
    return any(map(_are_secret_words, map(_words, _spellings(name))))


def _are_secret_words(words: list[str]) -> bool:
    if not _SECRET_WORDS.isdisjoint(_singular(words)):
        return True
    return any(
        word in {"key", "keys"} and not _KEY_OWNERS.isdisjoint(words[:index]) for index, word in enumerate(words)
    )


def _spellings(name: str) -> list[str]:
    """The name; if it has invisible characters, without them, from each visible part on."""
    spellings = [name]
    for sequence in (_SEQUENCE, _SEQUENCE_OR_STRING):
        if len(parts := _visible_parts(name, sequence)) > 1:
            spellings += ["".join(parts[at:]) for at in range(min(len(parts), _MAX_MARKS))]
    return spellings


def _words(name: str) -> list[str]:
    """The words of a name, in lower case."""
    return [word.lower() for word in _WORD.findall(name)]


def _singular(words: Iterable[str]) -> set[str]:
    return {word.removesuffix("s") for word in words}


@lru_cache(maxsize=_MAX_CACHED_NAMES)
def _is_url_key(name: str) -> bool:
    return any(not _URL_WORDS.isdisjoint(_singular(_words(one)[-1:])) for one in _spellings(name))


def redact_named_value(name: str, value: Any) -> Any:
    """Hide a value if its name says that it is a secret. Of a URL, only scheme and host are shown: it may be signed."""
    if not value or isinstance(value, bool):
        return value
    if is_secret_key(name) or (_is_url_key(name) and not isinstance(value, str)):
        return HIDDEN
    return _redact_path(value) if _is_url_key(name) else value


def _redact_path(url: str) -> str:
    origin = safe_origin(url)
    if not origin:
        return HIDDEN
    return url if url in {origin, f"{origin}/"} else f"{origin}/{HIDDEN}"


# What a terminal does not show. It can be inside a name or a secret, before it and after it.
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_OTHER_ZERO_WIDTH = lazy_pattern("[\u1160-\u11ff\u3164\ud7b0-\ud7ff\uffa0\U0001f3fb-\U0001f3ff]")
"""Zero-width characters that are no marks: Hangul vowels, finals and fillers; skin tones."""
_ESCAPE = r"(?:[\x1b\u241b]|\\(?:x1b|u001b|033|e)|\^\[)"
"""As a control character, as its picture, and as programs write it."""
_CONTROL = rf"(?:{_ESCAPE}\[|\x9b|\\x9b|\\u009b)[0-?]*[ -/]*[@-~]|{_ESCAPE}[ -/]*[0-Z\\-~]|{_ESCAPE}"
_STRING_END = rf"(?:\x07|\x9c|{_ESCAPE}\\)"
_SEQUENCE = lazy_pattern(_CONTROL)
_SEQUENCE_OR_STRING = lazy_pattern(
    rf"(?:{_ESCAPE}[]PX^_]|[\x90\x98\x9d-\x9f])[^\n\x07\x1b\x9c]*{_STRING_END}|{_CONTROL}"
)
_MARK = "\0"
_MAX_MARKED_CHARACTERS = 10_000
_MAX_MARKS = 200
"""A line with more of both is hidden: no text for people has them, and each part costs a search."""


def is_invisible(character: str) -> bool:
    """True for a control character, one that changes direction, and one of no meaning of its own."""
    import unicodedata  # here, because each start imports this module

    return unicodedata.category(character) in _INVISIBLE_CATEGORIES


def is_zero_width(character: str) -> bool:
    """True for a combining mark and its like."""
    import unicodedata

    return unicodedata.category(character).startswith("M") or _OTHER_ZERO_WIDTH.match(character) is not None


def _visible_parts(text: str, sequence: Any) -> list[str]:
    """The parts of a text between control sequences and invisible characters; only the text itself if it has none."""
    if text.isascii() and text.isprintable() and "\\" not in text and "^[" not in text:
        return [text]
    text = sequence.sub(_MARK, text)
    invisible = {one for one in set(text) if one not in "\t\r\n" and (is_invisible(one) or is_zero_width(one))}
    return text.translate(dict.fromkeys(map(ord, invisible), _MARK)).split(_MARK)


def _redact_behind_invisible(text: str) -> str:
    """Hide what has the form of a secret if control sequences and invisible characters are removed, and remove them there."""
    for sequence in (_SEQUENCE_OR_STRING, _SEQUENCE):
        if len(_visible_parts(text, sequence)) > 1:
            text = "\n".join(_redact_in_parts(line, sequence) for line in text.split("\n"))
    return text


def _redact_in_parts(line: str, sequence: Any) -> str:
    """Hide the secrets of a line in which each part may be the beginning of a name, or continue one."""
    parts = _visible_parts(line, sequence)
    if len(parts) > _MAX_MARKS or (len(parts) > 1 and len(line) > _MAX_MARKED_CHARACTERS):
        return HIDDEN
    hidden = ""
    for part in reversed(parts):
        hidden = _redact_once(part + hidden)
    return line if hidden == "".join(parts) else hidden


# Each pattern starts at the beginning of a word or is bounded, so that no text of a service takes long.
_ADDRESS = lazy_pattern(r"[^\s\"'<>]*/[^\s\"'<>]*")
_QUERY_START = lazy_pattern(r"[?#]")
_BEARER = lazy_pattern(r"\b(?P<scheme>(?P<name>bearer|basic)[ \t]{1,9})(?P<value>[\w.~+/=-]{6,})", re.IGNORECASE)
_RANDOM = lazy_pattern(r".{0,200}(?:\d|[a-z][A-Z])")
_LONG_WORD = lazy_pattern(r"(?!authentic|authori[sz]|credential|implement|specific)[a-z]{12}", re.IGNORECASE)
"""None of the usual words after `bearer`: tokens are longer."""
_WEB_TOKEN = lazy_pattern(r"(?<![\w-])eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?")
_ASSIGNED = lazy_pattern(r"(?<![\w-])(?P<name>[\w-]{1,80})(?P<sign>[\"']?(?:=|:\s{0,9})[\"']?)(?=[^\s\"'&;,()])")
_VALUE = lazy_pattern(r"[^\s\"'&;,()]+")
_SCHEMES = frozenset({"apikey", "basic", "bearer", "digest", "negotiate", "token"})
_AFTER_SCHEME = lazy_pattern(r"[ \t]{1,9}(?=[^\s\"'&;,()])")
_FLAG = lazy_pattern(
    r"(?<![\w-])--(?P<name>[a-zA-Z][\w-]{0,80})[\"']?,?[ \t]{1,9}[\"']?(?P<value>[^\s\"'&;,()-][^\s\"'&;,()]*)"
)
_LONGEST_PROSE = 300
_PROSE_VALUE = lazy_pattern(r"(?!.*[a-z][A-Z])(?:[^\W\d_]{0,24}[-'’.:!?…<>*/\[\]{}|])*[^\W\d_]{0,24}|\d{1,7}|.{0,3}")
"""After another name than that of a header, and a colon, this is no secret: `token: expired`. A token is random."""
_PASSWORD_WORDS = frozenset({"password", "passwd", "passphrase", "pwd"})
_WORD_OF_SENTENCE = lazy_pattern(
    r"(?:an?|and|are|authentication|basic|bearer|cannot|command|denied|does|empty|env|error|expects|expired|failed|file|for|from|has|"
    r"if|in|incorrect|invalid|is|it|locked|mismatch|missing|must|needed|needs|no|none|not|null|of|ok|on|option|or|please|refused|"
    r"rejected|requires?d?|set|should|the|this|to|too|unknown|unset|was|will|with|without|wrong)[.:!?]*",
    re.IGNORECASE,
)
"""After a flag, or after the name of a password and a colon, only these are no secret: a password may be any other word."""
_MAX_ROUNDS = 4


def redact_text(text: str) -> str:
    """Hide what has the form of a secret in a text for people."""
    for _ in range(_MAX_ROUNDS):
        hidden = _redact_once(_redact_behind_invisible(text))
        if hidden == text:
            break
        text = hidden  # what is left may have such a form only now
    return text


def _redact_once(text: str) -> str:
    if "/" in text:
        text = _ADDRESS.sub(_redact_in_address, text)
    if "=" in text or ":" in text:
        text = _redact_assigned(text)
    if "--" in text:
        text = _FLAG.sub(_redact_value_of_flag, text)
    return _WEB_TOKEN.sub(HIDDEN, _BEARER.sub(_redact_bearer, text))


def _redact_bearer(match: re.Match[str]) -> str:
    """Hide what follows `bearer` or `basic`, unless it is a usual word."""
    value = match["value"]
    is_secret = _RANDOM.match(value) or (match["name"].lower() == "bearer" and _LONG_WORD.match(value))
    return f"{match['scheme']}{HIDDEN}" if is_secret else match[0]


def _redact_value_of_flag(match: re.Match[str]) -> str:
    """Hide the value in `--password hunter2`; in `--token-file FILE` it is not the secret."""
    words, value = _words(match["name"]), match["value"]
    is_secret = _are_secret_words(words if words[-1] in {"key", "keys"} else words[-1:])
    return match[0] if not is_secret or _WORD_OF_SENTENCE.fullmatch(value) else match[0].removesuffix(value) + HIDDEN


def _redact_in_address(match: re.Match[str]) -> str:
    """Hide user and password of a URL, and the query and the fragment of a URL or a path."""
    before, scheme, after = match[0].partition("://")
    host, slash, path = after.partition("/")
    for sign in USER_INFO_SIGNS if scheme else ():
        if sign in host:
            host = f"{HIDDEN}@{host.rpartition(sign)[2]}"
    address = f"{before}{scheme}{host}{slash}{path}"
    start = _QUERY_START.search(address)
    if start is None or "/" not in address[: start.start()] or "=" not in address[start.end() :]:
        return address
    return f"{address[: start.end()]}{HIDDEN}"


def _redact_assigned(text: str) -> str:
    """Hide `password=…` and `X-Auth-Token: …`, also where they are the value of another name: `error:password=…`."""
    parts, at, shown_to = [], 0, 0
    while match := _ASSIGNED.search(text, at):
        at = match.end()
        if is_secret_key(match["name"]) and (found := _secret_value(text, match)):
            parts += [text[shown_to : found.start()], HIDDEN]
            shown_to = at = found.end()
    return "".join([*parts, text[shown_to:]])


def _secret_value(text: str, assigned: re.Match[str]) -> re.Match[str] | None:
    """What follows the name of a secret; None if it is a word of a sentence. A header may have its scheme first."""
    name, value = assigned["name"], _VALUE.match(text, assigned.end())
    is_header = name.lower() == "authorization" or not {"-", "_"}.isdisjoint(name)
    if not is_header and "=" not in assigned["sign"]:
        return None if _is_prose(name, value[0]) else value  # type: ignore[index]  # the pattern has looked ahead
    if value[0].lower() not in _SCHEMES:  # type: ignore[index]
        return value
    blank = _AFTER_SCHEME.match(text, value.end())  # type: ignore[union-attr]
    return _VALUE.match(text, blank.end()) if blank else None


def _is_prose(name: str, value: str) -> bool:
    """Whether what follows a name and a colon is a word of a sentence."""
    if not _PASSWORD_WORDS.isdisjoint(_singular(_words(name))):
        return _WORD_OF_SENTENCE.fullmatch(value) is not None
    return len(value) < _LONGEST_PROSE and _PROSE_VALUE.fullmatch(value) is not None


_PAGE = lazy_pattern(r"https?://(?:[\w.-]*\w|\[[0-9a-f:.]+\])(?::\d+)?(?:[/#][^\s\\]*)?", re.IGNORECASE)
_MAX_PAGE_CHARACTERS = 2_000
_WITHOUT_SECRET = lazy_pattern(r"[^?;=@&\\]*")
_UUID = lazy_pattern(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TOKEN = lazy_pattern(
    r"[A-Za-z]{32}|(?=[A-Za-z]{0,19}\d)(?=\d{0,19}[A-Za-z])[A-Za-z0-9]{20}|(?:AKIA|ASIA|AIza|gh[a-z]_|sk-)\w{6}"
)
"""What is random: no word of a page's path is as long, and its numbers have no letters."""


def page_problem(url: str) -> str:
    """Why the address of a page may not be kept; empty if it may: it is http(s), and has nothing that could be a secret.

    Not every secret has a telling name, so an address with a user, a query or parameters is refused, whatever they are.
    """
    from urllib.parse import unquote  # here, because each start imports this module

    if len(url) > _MAX_PAGE_CHARACTERS:
        return f"has more than {_MAX_PAGE_CHARACTERS:,} characters, and is not kept"
    if not _PAGE.fullmatch(url) or not url.isprintable():
        return "is not an http(s) address"
    text = _UUID.sub("", unquote(url))
    is_plain = _WITHOUT_SECRET.fullmatch(text) and not has_user_info(url) and not _TOKEN.search(text)
    return "" if is_plain and redact_text(text) == text else "may contain a secret, and is not kept"


_PAIR_NAMES = b"|".join(word.encode() for word in sorted(_SECRET_WORDS | {"key"} | _URL_WORDS))
_ESCAPED_ASCII = lazy_pattern(rb"\\u00[2-7]")


def _name_pattern(word: bytes) -> bytes:
    """A word in the key of a pair, in a name before a sign, and in a flag."""
    return rb'%b[^"\\]{0,100}"\s*:|%b[\w-]{0,80}\W{0,3}[=:]|--(?!-)[\w-]{0,80}%b' % (word, word, word)


_MARKS = {
    b"//": rb"://",
    b"%": rb"%40",
    b"?": rb"/[^\s\"/]{0,200}[?#][^\s\"=]{0,500}=",
    b"#": rb"/[^\s\"/]{0,200}[?#][^\s\"=]{0,500}=",
    b"auth": _name_pattern(rb"auth(?:orization)?"),
    b"basic": rb"basic(?:\s|\\t)",
    b"bearer": rb"bearer(?:\s|\\t)|%b" % _name_pattern(b"bearer"),
    b"eyj": rb"eyj[\w-]{1,300}\.",
    b"pass": _name_pattern(rb"pass(?:word|wd|phrase)"),
    **{
        word: _name_pattern(word)
        for word in (b"cookie", b"credential", b"jwt", b"key", b"pwd", b"secret", b"session", b"sig", b"token")
    },
    **{word.encode(): rb'%bs?"\s*:' % word.encode() for word in sorted(_URL_WORDS)},
}
"""Bytes to search for in a body in lower case, and what is around them if they belong to a secret, not to a usual value."""
_SECRET_PAIR = rb'"(?:name|key|header)"\s*:\s*"[^"]{0,200}?(?:%b)' % _PAIR_NAMES
_CONTROL_IN_BODY = lazy_pattern(
    rb"\\u00[0189]|\\u241b|\\\\(?:x[19]b|u00[19]b|033|e)|\^\[|\xe2\x90\x9b|\xc2[\x80-\x9f]|\x7f|\\[bfr]", re.IGNORECASE
)
_CHARACTER_ESCAPE = lazy_pattern(rb"\\u[0-9a-f]{4}", re.IGNORECASE)
_LOWER = bytes.maketrans(ascii_uppercase.encode(), ascii_lowercase.encode())
_NOT_RARE = bytes({*range(256)} - {*b"#%/?beghijklprstuwyBEGHIJKLPRSTUWY"})
"""Without these, a quarter of a usual body is left, and of each mark enough that no usual body has it."""
_RARE_PARTS = {mark: mark.translate(None, _NOT_RARE) for mark in _MARKS}


def may_escape_ascii(body: bytes) -> bool:
    """Whether a JSON body may have ASCII characters as escapes, so that a search for a name or a URL does not find it."""
    return b"\\" in body and _ESCAPED_ASCII.search(body) is not None


def may_contain_secret(body: bytes) -> bool:
    """A fast check of a JSON body: False proves that there is no secret, True proves nothing."""
    marks, is_escaped = _possible_marks(body), b"\\" in body
    if _has_mark(body, marks) or may_escape_ascii(body):
        return True
    if any(sign in body for sign in (b"\\", b"^", b"\x7f", b"\xc2", b"\xe2")) and _CONTROL_IN_BODY.search(body):
        return True
    if not is_escaped and (not marks or body.isascii()):
        return False
    visible = _CHARACTER_ESCAPE.sub(b"", body).translate(None, bytes(range(0x80, 0x100)))  # some may be invisible
    return _has_mark(visible, _possible_marks(visible))


def _possible_marks(body: bytes) -> Sequence[bytes]:
    rare = body.translate(_LOWER, _NOT_RARE)
    return [mark for mark, part in _RARE_PARTS.items() if part in rare]


def _has_mark(body: bytes, marks: Sequence[bytes]) -> bool:
    lower = body.lower().replace(rb"\/", b"/") if marks else b""
    found = [_MARKS[mark] for mark in marks if mark in lower]
    if found and b"value" in lower:
        found.append(_SECRET_PAIR)
    return any(re.search(pattern, lower) for pattern in found)

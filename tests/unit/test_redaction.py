"""Secrets are hidden by their name, by their form, and if this program uses them; other text stays as it is."""

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.redaction import (
    HIDDEN,
    forget_secrets,
    is_secret_key,
    may_contain_secret,
    redact_registered,
    redact_registered_json,
    redact_text,
    register_secrets,
)
from upload_tui.text import sanitize_line
from upload_tui.wire import redact_value

SECRET = "c4nary"


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()


# Names and forms that other services use, written down without a look at the program's own list.
ENTRIES: tuple[Any, ...] = (
    {"temp_url": f"https://storage.test/v1/{SECRET}"},
    {"upload_url": f"https://storage.test/?X-Amz-Signature={SECRET}"},
    {"chunks": [{"number": 1, "url": f"/container/{SECRET}"}]},
    {"http_headers": {"Authorization": SECRET, "X-Auth-Token": SECRET}},
    {"http_headers": [f"Authorization: {SECRET}", f"X-Auth-Token: {SECRET}"]},
    {"http_headers": [{"name": "X-Auth-Token", "value": SECRET}]},
    {"service_account": {"secret": SECRET, "password": SECRET, "access_key": SECRET}},
    {"cookie": SECRET, "Set-Cookie": SECRET, "session": SECRET, "jwt": SECRET, "auth": {"user": SECRET}},
    {"credentials": {"id": SECRET}},
    {"secretAccessKey": SECRET, "AWSAccessKeyId": SECRET, "x-amz-security-token": SECRET, "refreshToken": SECRET},
    {"host": f"https://bob:{SECRET}@storage.test"},
    {"note": f"PUT https://storage.test/x?sig={SECRET} failed"},
    {"note": f"see /v1/container?temp_url_sig={SECRET}&temp_url_expires=5"},
    {"note": f"https://login.test/#access_token={SECRET}"},
    {"note": f"Authorization: Bearer {SECRET}"},
    {"note": f"Authorization: token {SECRET}"},
    {"note": f"password={SECRET}"},
    {"note": f"password: {SECRET}"},
    {"note": f"curl --token {SECRET}"},
    {"note": f"['curl', '--api-key', '{SECRET}']"},
    {"note": f"error:password={SECRET}"},
    {"note": f"stderr:X-Auth-Token: {SECRET}"},
    {"note": f"a=b=api_key={SECRET}"},
    {"note": f"tokenValue={SECRET}"},
    {"note": f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}"},
)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: json.dumps(entry)[:50])
def test_a_secret_of_a_service_is_hidden_and_its_page_is_not_stored_as_it_is(entry: Any) -> None:
    assert SECRET not in json.dumps(redact_value(entry))
    assert may_contain_secret(json.dumps({"results": [entry]}).encode())


COLOUR = "\x1b[31m"
INVISIBLE = (
    COLOUR, "\x1b[0;1m", "\x9b31m", "\x1b]0;title\x07", "\x1b]8;;https://a.test/\x1b\\", "\x1bP1$r\x1b\\", "\x1bc", "\x1b(B", "\x90",
    "\\x1b[31m", "\\u001b[1m", "\u241b[31m", "^[[31m", "\0", "\x7f", "\x08", "\xad", "\u200b", "\u200d", "\u202e", "\u2060",
    "\ufeff", "\ufe0f", "\u034f", "\u0301", "\u3164", "\U000e0061", "\x85", "\u2028",
)  # fmt: skip
FORMS_OF_SECRETS = (
    "password=*",
    "X-Auth-Token: *",
    "Bearer *5abcdef",
    "--token *",
    "Authorization: Bearer *",
    "pwd: *",
    "https://bob:*@h/",
    "eyJhbGciOi.*.x",
    "/x?sig=*",
)


@pytest.mark.parametrize("form", FORMS_OF_SECRETS)
def test_a_secret_among_invisible_characters_is_hidden(form: str) -> None:
    """Before its name, inside it and after it, with other text before it and without."""
    for invisible in INVISIBLE:
        named = form.index("*")
        names = [f"{form[:at]}{invisible}{form[at:]}" for at in range(named + 1)]
        forms = [*names, f"{names[2]}{invisible}", f"{form[:1]}{COLOUR}{form[1:2]}{invisible}{form[2:]}"]
        for one in forms:
            for before in ("", "error:", f"foo{invisible}", f"{COLOUR}foo{COLOUR}"):
                text = (before + one).replace("*", SECRET)
                assert SECRET not in redact_text(text), text
                assert SECRET not in sanitize_line(text)
                body = json.dumps({"note": text})
                assert may_contain_secret(body.encode())
                assert may_contain_secret(json.dumps({"note": text}, ensure_ascii=False).encode())


@pytest.mark.parametrize("key", ["*password", "pass*word", "password*", "foo*api*_key", "*url", "u*rl"])
def test_a_secret_with_invisible_characters_in_its_name_is_hidden(key: str) -> None:
    for invisible in INVISIBLE:
        entry = {key.replace("*", invisible): f"https://storage.test/{SECRET}"}
        assert SECRET not in json.dumps(redact_value(entry))
        assert may_contain_secret(json.dumps(entry).encode())
        assert may_contain_secret(json.dumps(entry, ensure_ascii=False).encode())


@pytest.mark.parametrize("text", [f"{COLOUR}error{COLOUR}: failed", "a\u0301=b", "C:\\example\\x1b"])
def test_invisible_characters_without_a_secret_stay(text: str) -> None:
    assert redact_text(text) == text


def test_a_line_of_nothing_but_colours_is_fast_and_hidden() -> None:
    assert redact_text(f"ok\n{COLOUR * 50_000}password={SECRET}") == f"ok\n{HIDDEN}"


WORDS = (
    "token", "tokens", "secret", "password", "auth", "authorization", "session", "sig", "signature", "credentials", "cookie",
    "key", "keys", "api", "access", "user", "client", "url", "urls", "uri", "href", "link", "id", "name", "size", "value", "hash",
    "bearer", "jwt", "x",
)  # fmt: skip
FORMS = (
    "https://storage.test", "http://", "://", "bob:", SECRET, "@", "%40", "/", "/x", "?", "#", "=", "&",
    "sig=", "token=", "api_key=", "user-keys: ",
    "tokenValue=", "token: ",
    "password:", "Authorization: ", "X-Auth-Token: ", "Bearer ", "basic ", "abc123", "Bearer\t", "basic\t", "dXNlcjpwYXNz",
    "abcdefghijklmnop", "hunterX", "expired", "--", "-", "--token ", "--password\t", "--api_key", ",", "\t",
    "eyJhbGciOi.", ".", " ", '"', "\\", "(hidden)",
    "name", "é", "reads_1.fastq", ";", "'", *INVISIBLE,
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "reads_1.fastq?x=1",
        "what? a=b",
        "token: expired",
        "session: closed by peer",
        "reported chunk hash does not match that computed by StorageProvider",
        "Connection refused: http://localhost:8902/api/v1/projects",
        "https://dds.test/api/v1/#top",
        "a basic error",
        "basic authentication failed",
        "bearer token missing",
        "bearer authorization is needed",
        "password: wrong",
        "Password: incorrect.",
        "token: 401",
        "token: <none>",
        "session: closed-by-peer",
        "option --token requires an argument",
        "use --token or --profile",
        "--token-file /run/token",
        "--password --verbose",
        "http://[::1]:8902/api/v1",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


OWN_SECRETS = ("abcdefghijklmnop", "hunterX", "hunter2", "c0ffee", "swordfish", "S3cret!", "pa$word", "dXNlcjpwYXNz")
"""As people and programs choose them: with digits and without, random and not."""


@pytest.mark.parametrize(
    "form",
    [
        "Authorization: *",
        "authorization: Bearer *",
        "Authorization: token *",
        "'Proxy-Authorization: Basic *'",
        "password: *",
        "Database password: * was refused",
        '{"password": "*"}',
        "password=*",
        "--password *",
        "curl --token '*' https://h.test",
        "['--api-key', '*']",
        "--auth-token\t*",
    ],
)
def test_a_secret_is_hidden_whatever_it_looks_like(form: str) -> None:
    """After the name of a header, a flag or a password, no form is asked for."""
    for secret in OWN_SECRETS:
        text = form.replace("*", secret)
        assert redact_text(text) == form.replace("*", HIDDEN)
        assert may_contain_secret(json.dumps({"note": text}).encode())


@pytest.mark.parametrize("form", ["Bearer *", "got bearer * from", "token: *"])
@pytest.mark.parametrize("secret", ["abcdefghijklmnopqrstuvwxyz", "dXNlcjpwYXNz", "c0ffee5", "xK" * 12])
def test_a_random_text_is_hidden_after_the_name_of_a_token(form: str, secret: str) -> None:
    text = form.replace("*", secret)
    assert redact_text(text) == form.replace("*", HIDDEN)
    assert may_contain_secret(json.dumps({"note": text}).encode())


_HOSTS = ("storage.test", "h:8443", "[::1]", "[2001:db8::1]:443", "h\\", "h:", "h%40")


@pytest.mark.parametrize(
    "scheme", ["https://", "s3+http://", "//", "", "https:", "https:\\\\", "https:/", "javascript:"]
)
@pytest.mark.parametrize(
    "user", [f"bob:{SECRET}@", f"{SECRET}@", f"b:12/{SECRET}@", f":{SECRET}%40", f"b:{SECRET}\uff20", ""]
)
def test_of_a_signed_url_only_scheme_and_host_are_shown(scheme: str, user: str) -> None:
    for host, end in product(
        _HOSTS, ("", "/", f"/{SECRET}", f"?sig={SECRET}", f"#{SECRET}", f"\\{SECRET}", f"\n{SECRET}")
    ):
        shown = redact_value({"url": f"{scheme}{user}{host}{end}"})["url"]
        assert SECRET not in shown
        assert shown in {f"{scheme}{host}", f"{scheme}{host}/", f"{scheme}{host}/{HIDDEN}", HIDDEN}


def test_the_host_of_a_signed_url_is_shown() -> None:
    assert redact_value({"url": f"https://[::1]:8443/{SECRET}"}) == {"url": f"https://[::1]:8443/{HIDDEN}"}


@pytest.mark.parametrize(
    "name", ["id", "name", "author", "keyboard", "hash", "etag", "is_consistent", "size", "tokenizer", "monkey"]
)
def test_a_usual_name_is_no_secret(name: str) -> None:
    assert not is_secret_key(name)


@pytest.mark.parametrize(
    "name", ["session_1.fastq", "token.txt", "why?.txt", "sample#3", "cookies and cream", "my secret"]
)
def test_an_upload_with_a_name_like_a_secret_needs_no_full_parse(name: str) -> None:
    assert not may_contain_secret(json.dumps({"results": [{"id": "u-1", "name": name}]}).encode())


@given(
    st.text(alphabet="/:?#@=ab\"\\ tokenbearyJ.-_(1&;'", max_size=200) | st.lists(st.sampled_from(FORMS)).map("".join)
)
def test_hiding_twice_changes_nothing_more(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@st.composite
def names(draw: st.DrawFn) -> str:
    """A name in one of the usual spellings, of words of which some say that the value is a secret."""
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
    spelling = draw(st.sampled_from(["_", "-", " ", ".", "", "camel"]))
    if spelling == "camel":
        return "".join([words[0], *map(str.title, words[1:])])
    name = spelling.join(words)
    return draw(st.sampled_from([name, name.upper(), name.title()]))


@st.composite
def pairs(draw: st.DrawFn) -> dict[str, Any]:
    """A name and its value as two fields, in any order and with others between them."""
    fields = [(draw(st.sampled_from(["name", "key", "header"])), draw(names())), ("value", draw(texts)), *draw(others)]
    return dict(draw(st.permutations(fields)))


texts = st.lists(st.sampled_from(FORMS), min_size=1, max_size=4).map("".join)
others = st.lists(st.tuples(names(), texts | st.none() | st.booleans() | st.integers(0, 9)), max_size=2)
values = st.recursive(
    texts | st.none() | st.booleans() | st.integers(-9, 9) | pairs(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names() | texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def encodings(draw: st.DrawFn, value: Any) -> bytes:
    """JSON in one of the ways that encoders write it: with escapes that are not needed, with or without spaces."""
    body = json.dumps(
        value,
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " :\t")])),
    )
    if draw(st.booleans()):
        body = body.replace("/", "\\/")
    escaped = draw(st.sampled_from(["", "a", "e", "k", "t", "?", "=", "@", ":/", "/", "PASSWORDpassword"]))

    def escape(match: re.Match[str]) -> str:
        return f"\\u{ord(match[0]):04x}" if match[0] in escaped else match[0]

    in_texts = re.compile(r'"(?:[^"\\]|\\.)*"')
    body = in_texts.sub(lambda text: re.sub(r"\\u....|\\.|.", escape, text[0]), body)
    return body.encode()


@given(st.data())
def test_a_body_with_a_secret_is_never_stored_as_it_is(data: st.DataObject) -> None:
    """What the thorough search changes, the fast one must find, in any encoding of it."""
    value = data.draw(values)
    body = data.draw(encodings(value))
    assert json.loads(body) == value
    if redact_value(value) != value:
        assert may_contain_secret(body)


@pytest.mark.parametrize("token", ["abcdef-123", 'quo"te\\d/token', "sp ace d", "12345678"])
def test_a_secret_in_use_is_hidden_in_every_form(token: str) -> None:
    register_secrets((token, "short"))
    body = json.dumps({"reason": f"token {token} expired", "size": 15, "name": "short"})
    hidden = redact_registered_json(body.encode()).decode()
    assert token not in json.loads(hidden)["reason"]
    assert json.loads(hidden)["size"] == 15
    assert redact_registered(f"no {token}, but short") == f"no {HIDDEN}, but short"

"""Secrets are hidden by their name, by their form, and if this program uses them; other text stays as it is."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upload_tui.redaction import (
    HIDDEN,
    forget_secrets,
    hide_secrets_in_text,
    is_secret_key,
    may_contain_secret,
    redact,
    redact_json,
    register_secrets,
)
from upload_tui.wire.responses import mask_secrets

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
    {"note": f"password={SECRET}"},
    {"note": f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}"},
)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: json.dumps(entry)[:50])
def test_a_secret_of_a_service_is_hidden_and_its_page_is_not_stored_as_it_is(entry: Any) -> None:
    assert SECRET not in json.dumps(mask_secrets(entry))
    assert may_contain_secret(json.dumps({"results": [entry]}).encode())


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
        "http://[::1]:8902/api/v1",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert hide_secrets_in_text(text) == text


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


@given(st.text(alphabet='/:?#@=ab"\\ tokenbearyJ.-_(', max_size=200))
def test_hiding_twice_changes_nothing_more(text: str) -> None:
    once = hide_secrets_in_text(text)
    assert hide_secrets_in_text(once).count("://bob:") == once.count("://bob:")


@pytest.mark.parametrize("token", ["abcdef-123", 'quo"te\\d/token', "sp ace d", "12345678"])
def test_a_secret_in_use_is_hidden_in_every_form(token: str) -> None:
    register_secrets((token, "short"))
    body = json.dumps({"reason": f"token {token} expired", "size": 15, "name": "short"})
    hidden = redact_json(body.encode()).decode()
    assert token not in json.loads(hidden)["reason"]
    assert json.loads(hidden)["size"] == 15
    assert redact(f"no {token}, but short") == f"no {HIDDEN}, but short"

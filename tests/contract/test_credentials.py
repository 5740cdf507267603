"""The token of every request: where it comes from, when it is renewed, and the errors if it cannot be."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from upload_tui.client import Credentials, ServiceClient
from upload_tui.errors import (
    AuthError,
    ForeignPageError,
    InvalidResponseError,
    ServerError,
    SettingsError,
    ThrottledError,
)
from upload_tui.testing import FrozenClock, an_upload

ROOT = "https://dds.test"


def returning(token: str) -> Callable[[], Awaitable[str]]:
    """A source that returns the same token each time."""

    async def source() -> str:
        return token

    return source


KEYS = Credentials(agent_key="a", user_key="u")


class TokenService:
    """A service that accepts its own tokens, lists the tokens it gets and counts the exchanges."""

    def __init__(self, *, lifetime_seconds: object = 7200) -> None:
        self.clock = FrozenClock()
        self.valid: set[str] = set()
        self.received: list[str] = []
        self.exchanges = 0
        self.lifetime_seconds = lifetime_seconds
        self.exchange_response: Callable[[str], httpx.Response] = self._issue

    def client(self, credentials: Credentials) -> ServiceClient:
        return ServiceClient(ROOT, credentials, transport=httpx.MockTransport(self._respond), clock=self.clock)

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)
        if request.url.path.endswith("/api_token"):
            self.exchanges += 1
            return self.exchange_response(f"token-{self.exchanges}")
        token = request.headers["authorization"]
        self.received.append(token)
        if token in self.valid:
            return httpx.Response(200, json=an_upload("a", id=request.url.path.rpartition("/")[2]))
        return httpx.Response(401, json={"error": 401, "code": "not_provided", "reason": "expired api_token"})

    def _issue(self, token: str) -> httpx.Response:
        self.valid = {token}
        return httpx.Response(201, json={"api_token": token, "time_to_live": self.lifetime_seconds})


async def test_concurrent_requests_exchange_the_keys_once() -> None:
    service = TokenService()
    async with service.client(KEYS) as client:
        await asyncio.gather(*(client.upload("u-1") for _ in range(8)))
    assert service.exchanges == 1
    assert set(service.received) == {"token-1"}


async def test_concurrent_rejected_requests_exchange_the_keys_once() -> None:
    service = TokenService()
    async with service.client(KEYS) as client:
        await client.upload("u-1")
        service.valid.clear()
        await asyncio.gather(*(client.upload("u-1") for _ in range(8)))
    assert service.exchanges == 2


@pytest.mark.parametrize(
    ("lifetime_seconds", "just_before", "renewal"),
    [(7200, 6890, 20), (60, 25, 10)],
    ids=["five-minutes-early", "after-half-of-a-short-lifetime"],
)
async def test_a_token_is_renewed_before_it_expires(lifetime_seconds: int, just_before: int, renewal: int) -> None:
    service = TokenService(lifetime_seconds=lifetime_seconds)
    async with service.client(KEYS) as client:
        await client.upload("u-1")
        service.clock.advance(just_before)
        await client.upload("u-1")
        assert service.exchanges == 1
        service.clock.advance(renewal)
        await client.upload("u-1")
    assert service.exchanges == 2
    assert service.received == ["token-1", "token-1", "token-2"]


@pytest.mark.parametrize("lifetime", [None, "soon", -1, 0, 10**12, True, 1.5])
async def test_a_token_with_an_invalid_lifetime_is_used_until_it_is_rejected(lifetime: object) -> None:
    service = TokenService(lifetime_seconds=lifetime)
    async with service.client(KEYS) as client:
        await client.upload("u-1")
        service.clock.advance(10)
        await client.upload("u-1")
        service.valid.clear()
        await client.upload("u-1")
    assert service.exchanges <= 3  # True is a lifetime of one second


async def test_a_rejected_new_token_is_an_auth_error() -> None:
    service = TokenService()
    service.exchange_response = lambda token: httpx.Response(201, json={"api_token": token, "time_to_live": 7200})
    async with service.client(KEYS) as client:
        with pytest.raises(AuthError):
            await client.upload("u-1")
    assert service.exchanges == 2
    assert service.received == ["token-1", "token-2"]


@pytest.mark.parametrize(
    ("response", "error"),
    [
        pytest.param(httpx.Response(404, json={"reason": "invalid key"}), AuthError, id="unknown-key"),
        pytest.param(httpx.Response(400, json={"reason": "missing key or keys"}), AuthError, id="missing-key"),
        pytest.param(httpx.Response(401, json={}), AuthError, id="unauthorized"),
        pytest.param(httpx.Response(403, text="<html>"), AuthError, id="forbidden"),
        pytest.param(httpx.Response(404, json={"reason": "Upload Not Found"}), InvalidResponseError, id="another-404"),
        pytest.param(httpx.Response(404, text="<html>"), InvalidResponseError, id="no-such-service"),
        pytest.param(
            httpx.Response(302, headers={"location": "https://elsewhere.test"}), InvalidResponseError, id="moved"
        ),
        pytest.param(httpx.Response(429, json={}), ThrottledError, id="too-many"),
        pytest.param(httpx.Response(503, text="<html>"), ThrottledError, id="unavailable"),
        pytest.param(httpx.Response(500, json={}), ServerError, id="server-error"),
        pytest.param(httpx.Response(201, text="<html>"), ForeignPageError, id="html"),
        pytest.param(httpx.Response(201, json={"api_token": 5}), InvalidResponseError, id="no-token"),
    ],
)
async def test_a_failed_exchange_is_its_own_error(response: httpx.Response, error: type[Exception]) -> None:
    service = TokenService()
    service.exchange_response = lambda _: response
    async with service.client(KEYS) as client:
        with pytest.raises(error):
            await client.upload("u-1")
    assert service.received == []


async def test_the_exchange_has_the_timeout_of_any_request() -> None:
    timeouts: list[object] = []

    def respond(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions.get("timeout"))
        if request.url.path.endswith("/api_token"):
            return httpx.Response(201, json={"api_token": "t", "time_to_live": 7200})
        return httpx.Response(200, json=an_upload("a", id="u-1"))

    async with ServiceClient(ROOT, KEYS, transport=httpx.MockTransport(respond), timeout_seconds=7) as client:
        await client.upload("u-1")
    assert timeouts == [{"connect": 7, "read": 7, "write": 7, "pool": 7}] * 2


async def test_retry_after_of_the_exchange_is_parsed() -> None:
    service = TokenService()
    service.exchange_response = lambda _: httpx.Response(429, json={}, headers={"retry-after": "9"})
    async with service.client(KEYS) as client:
        with pytest.raises(ThrottledError) as caught:
            await client.upload("u-1")
    assert caught.value.retry_after_seconds == 9
    assert "api_token" in caught.value.title


async def test_the_source_is_called_once_if_its_token_is_rejected() -> None:
    service = TokenService()
    service.valid = {"second"}
    calls: list[None] = []

    async def source() -> str:
        calls.append(None)
        return "second"

    async with service.client(Credentials("first", source=source)) as client:
        await asyncio.gather(*(client.upload("u-1") for _ in range(4)))
    assert len(calls) == 1
    assert service.exchanges == 0


async def test_the_same_token_again_is_an_auth_error() -> None:
    service = TokenService()
    async with service.client(Credentials("first", source=returning("first"))) as client:
        with pytest.raises(AuthError):
            await client.upload("u-1")
    assert service.received == ["first"]


async def test_a_failing_source_is_an_auth_error() -> None:
    async def source() -> str:
        raise SettingsError("The token command failed", "Run it by hand.")

    service = TokenService()
    async with service.client(Credentials("first", source=source)) as client:
        with pytest.raises(AuthError) as caught:
            await client.upload("u-1")
    assert "The token command failed" in caught.value.title
    assert caught.value.hint == "Run it by hand."


async def test_a_token_without_keys_is_not_renewed() -> None:
    service = TokenService()
    async with service.client(Credentials("first")) as client:
        with pytest.raises(AuthError):
            await client.upload("u-1")
    assert (service.received, service.exchanges) == (["first"], 0)


@pytest.mark.parametrize(
    ("credentials", "is_pair"),
    [
        (Credentials(agent_key="a"), False),
        (Credentials(user_key="u"), False),
        (Credentials(), False),
        (KEYS, True),
    ],
    ids=["agent", "user", "none", "both"],
)
async def test_only_a_pair_of_keys_is_exchanged(credentials: Credentials, is_pair: bool) -> None:
    service = TokenService()
    assert credentials.has_keys == is_pair
    async with service.client(credentials) as client:
        if is_pair:
            await client.upload("u-1")
        else:
            with pytest.raises(AuthError):
                await client.upload("u-1")
    assert service.exchanges == int(is_pair)


INVALID_TOKENS = ["s3cret\n", "s3\r\ncret", "s3\x00cret", "s3cr\u00e9t", "\udce9"]


@pytest.mark.parametrize("token", INVALID_TOKENS)
def test_a_token_that_no_header_can_have_is_a_wrong_setting(token: str) -> None:
    with pytest.raises(SettingsError) as caught:
        TokenService().client(Credentials(token=token))
    assert "cret" not in caught.value.title + caught.value.hint


@pytest.mark.parametrize("token", INVALID_TOKENS)
async def test_a_token_of_a_source_that_no_header_can_have_is_an_auth_error(token: str) -> None:
    service = TokenService()
    async with service.client(Credentials(token="old", source=returning(token))) as client:
        with pytest.raises(AuthError) as caught:
            await client.upload("u-1")
    assert "cret" not in caught.value.title + caught.value.hint
    assert service.received == ["old"]


@pytest.mark.parametrize("token", INVALID_TOKENS[:-1])
async def test_an_issued_token_that_no_header_can_have_is_an_invalid_response(token: str) -> None:
    service = TokenService()
    service.exchange_response = lambda _: httpx.Response(201, json={"api_token": token})
    async with service.client(KEYS) as client:
        with pytest.raises(InvalidResponseError, match="no token"):
            await client.upload("u-1")
    assert service.received == []

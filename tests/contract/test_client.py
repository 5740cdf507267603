"""The client: typed results, typed errors, and what it never does."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from errno import ECONNREFUSED, ENAMETOOLONG, ENETUNREACH
from ssl import SSLCertVerificationError, SSLError

import httpcore
import httpx
import pytest
import stamina

from tests.contract.calls import FILE, serving
from upload_tui.client import Credentials, ServiceClient
from upload_tui.errors import (
    AuthError,
    BadRequestError,
    ForeignPageError,
    InvalidResponseError,
    NotConsistentError,
    NotFoundError,
    ServerError,
    ServiceError,
    ThrottledError,
    UnreachableError,
    UsageError,
)
from upload_tui.status import Stage
from upload_tui.testing import FrozenClock, an_upload
from upload_tui.wire import UploadPage, service_root

ROOT = "https://dds.test"


@pytest.fixture(autouse=True)
def no_waits() -> Iterator[None]:
    stamina.set_testing(True, attempts=2)
    yield
    stamina.set_testing(False)


def client_of(handler: Callable[[httpx.Request], httpx.Response]) -> ServiceClient:
    return ServiceClient(ROOT, Credentials(token="t"), transport=httpx.MockTransport(handler), clock=FrozenClock())


def envelope(status: int, code: str = "not_provided", reason: str = "why", suggestion: str = "") -> httpx.Response:
    return httpx.Response(status, json={"error": status, "code": code, "reason": reason, "suggestion": suggestion})


@pytest.mark.parametrize(
    ("response", "error"),
    [
        pytest.param(envelope(400), BadRequestError, id="bad-request"),
        pytest.param(envelope(401), AuthError, id="no-token"),
        pytest.param(envelope(403), AuthError, id="forbidden"),
        pytest.param(envelope(404, reason="Upload Not Found"), NotFoundError, id="not-found"),
        pytest.param(envelope(404, code="resource_not_consistent"), NotConsistentError, id="not-yet"),
        pytest.param(
            envelope(404, suggestion="Please supply a supported object_kind"), ServerError, id="server-failure-as-404"
        ),
        pytest.param(httpx.Response(404, text="<html>"), InvalidResponseError, id="no-such-service"),
        pytest.param(envelope(429), ThrottledError, id="too-many"),
        pytest.param(envelope(500), ServerError, id="server-error"),
        pytest.param(httpx.Response(502, text="<html>"), ServerError, id="proxy"),
        pytest.param(envelope(503), ThrottledError, id="unavailable"),
        pytest.param(
            httpx.Response(302, headers={"location": "https://elsewhere.test"}), InvalidResponseError, id="redirect"
        ),
        pytest.param(httpx.Response(200, text="<html>"), ForeignPageError, id="html"),
        pytest.param(httpx.Response(200, text=""), ForeignPageError, id="empty"),
        pytest.param(httpx.Response(200, text="7"), InvalidResponseError, id="number"),
        pytest.param(httpx.Response(200, text='{"id": "a'), InvalidResponseError, id="cut"),
        pytest.param(httpx.Response(200, content=b'\xef\xbb\xbf {"id": "\xff"}'), InvalidResponseError, id="not-utf-8"),
        pytest.param(httpx.Response(200, json=[]), InvalidResponseError, id="list"),
        pytest.param(httpx.Response(200, json={"results": {}}), InvalidResponseError, id="no-id"),
        pytest.param(
            httpx.Response(200, content=b"x", headers={"content-encoding": "gzip"}), ForeignPageError, id="not-gzip"
        ),
    ],
)
async def test_an_error_response_becomes_its_error(response: httpx.Response, error: type[ServiceError]) -> None:
    async with client_of(lambda _: response) as client:
        with pytest.raises(error) as caught:
            await client.upload("u-1")
    assert type(caught.value) is error
    assert ROOT in caught.value.title


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308, 399])
async def test_no_redirect_is_a_success(status: int) -> None:
    """Not even one whose body is an upload: the token must not follow it."""
    requested = []

    def redirect(request: httpx.Request) -> httpx.Response:
        requested.append(str(request.url))
        return httpx.Response(
            status, json=an_upload("a", id="u-1"), headers={"location": "https://elsewhere.test/secret"}
        )

    async with client_of(redirect) as client:
        with pytest.raises(InvalidResponseError, match=f"Unexpected status {status}") as caught:
            await client.upload("u-1")
    assert "elsewhere" not in caught.value.title + caught.value.hint
    assert requested == [f"{ROOT}/api/v1/uploads/u-1"]


@pytest.mark.parametrize("url", ["https://bob:s3cret@dds.test", "https://bob@dds.test", "https://bob:s3cret@[bad"])
def test_a_url_with_a_password_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        ServiceClient(url, Credentials(token="t"))
    assert "s3cret" not in caught.value.title + caught.value.hint


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadError("cut"),
        httpx.RemoteProtocolError("nonsense"),
    ],
    ids=["refused", "timeout", "cut", "protocol"],
)
async def test_no_response_is_an_unreachable_error(failure: httpx.TransportError) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise failure

    async with client_of(fail) as client:
        with pytest.raises(UnreachableError) as caught:
            await client.upload("u-1")
    assert ROOT in caught.value.title
    assert caught.value.hint


@pytest.mark.parametrize("is_one_of_many", [False, True])
@pytest.mark.parametrize(
    ("cause", "title"),
    [
        (ConnectionRefusedError(ECONNREFUSED, "Connect call failed"), "Connection refused"),
        (OSError(ENETUNREACH, "Network is unreachable"), "Cannot connect"),
        (OSError(ENAMETOOLONG, "File name too long"), "Cannot connect"),
        (SSLError(1, "[SSL: TLSV1_UNRECOGNIZED_NAME] tlsv1 unrecognized name"), "Cannot connect"),
        (SSLError(1, "[SSL] tlsv13 alert certificate required"), "Cannot connect"),
        (SSLCertVerificationError(1, "Hostname mismatch"), "Certificate not trusted"),
        (socket.gaierror(socket.EAI_NONAME, "nodename nor servname provided, or not known"), "Unknown host"),
    ],
    ids=["refused", "no-network", "long-name", "other-name", "no-own-certificate", "certificate", "unknown"],
)
async def test_the_type_of_a_cause_decides_what_is_said_of_a_failed_connection(
    cause: OSError, title: str, *, is_one_of_many: bool
) -> None:
    """Whatever it is called, and whichever of the addresses of a host it is about."""

    def fail(_: httpx.Request) -> httpx.Response:
        try:
            try:
                raise ExceptionGroup("", [OSError(ENETUNREACH, ""), cause]) if is_one_of_many else cause
            except (OSError, ExceptionGroup) as error:
                raise httpcore.ConnectError(str(error)) from error
        except httpcore.ConnectError as error:
            raise httpx.ConnectError(str(error)) from error

    async with client_of(fail) as client:
        with pytest.raises(UnreachableError, match=f"^{title}: {ROOT}"):
            await client.upload("u-1")


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_NODATA])
async def test_a_name_that_cannot_be_resolved_is_an_unknown_host(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the resolver, through the layers of the network's real stack."""

    async def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail)
    monkeypatch.setenv("NO_PROXY", "*")
    async with ServiceClient("http://dds.test", Credentials(token="t")) as client:
        with pytest.raises(UnreachableError, match=r"^Unknown host: http://dds\.test"):
            await client.upload("u-1")


SENT_ON = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17),
        ("7.5", 7.5),
        ("Wed, 21 Oct 2026 07:28:42 GMT", 42),
        ("Wed, 21 Oct 2026 09:29:00 +0200", 60),
        ("Wed, 21 Oct 2026 07:00:00 GMT", 0),
        ("999999", 900),
        ("9" * 400, 900),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 900),
        ("-3", None),
        ("soon", None),
        ("nan", None),
        ("", None),
    ],
)
async def test_retry_after_is_parsed(header: str, seconds: float | None) -> None:
    busy = httpx.Response(429, json={}, headers={"retry-after": header, "date": SENT_ON})
    async with client_of(lambda _: busy) as client:
        with pytest.raises(ThrottledError) as caught:
            await client.upload("u-1")
    assert caught.value.retry_after_seconds == seconds


async def test_a_retry_after_date_needs_the_date_of_the_response() -> None:
    busy = httpx.Response(503, json={}, headers={"retry-after": SENT_ON})
    async with client_of(lambda _: busy) as client:
        with pytest.raises(ThrottledError) as caught:
            await client.upload("u-1")
    assert caught.value.retry_after_seconds is None


async def test_a_request_is_retried_after_a_server_error() -> None:
    responses = iter([envelope(500), httpx.Response(200, json=an_upload("a", id="u-1"))])
    async with client_of(lambda _: next(responses)) as client:
        assert (await client.upload("u-1")).upload.name == "a"


async def test_the_token_is_sent_to_the_service_only() -> None:
    seen: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(302, headers={"location": "https://elsewhere.test/"})

    async with client_of(respond) as client:
        with pytest.raises(InvalidResponseError):
            await client.upload("u-1")
    assert {request.url.host for request in seen} == {"dds.test"}
    assert seen[0].headers["authorization"] == "t"


async def test_a_hostile_id_stays_one_part_of_the_path() -> None:
    seen: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path.decode())
        return envelope(404)

    async with client_of(respond) as client:
        with pytest.raises(NotFoundError):
            await client.upload("../projects?x=1")
    assert seen == ["/api/v1/uploads/..%2Fprojects%3Fx%3D1"]


@pytest.mark.parametrize("url", [ROOT, f"{ROOT}/", f"{ROOT}/api/v1", f"{ROOT}/api/v1/"])
def test_all_forms_of_a_url_have_the_same_root(url: str) -> None:
    assert service_root(url) == ROOT


def test_the_repr_of_credentials_has_no_secrets() -> None:
    assert "s3cret" not in repr(Credentials(token="s3cret", agent_key="s3cret", user_key="s3cret"))


async def test_the_responses_of_the_embedded_service_are_read() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(tuple(enumerate(FILE, 1)))
        await caller.service.worker.verify_next()
        account = caller.service.account
        credentials = Credentials(agent_key=account.agent_key, user_key=account.user_key)
        async with ServiceClient(
            caller.service.base_url, credentials, transport=caller.transport, clock=caller.clock
        ) as client:
            project = client.select_project(await client.projects(), caller.service.project.name)
            page = await client.upload_page(project.id, 1, 10)
            reading = await client.upload(upload_id)
        assert [entry.upload.id for entry in page.readings] == [upload_id]
        assert (page.total, page.next_page) == (1, None)
        assert reading.upload.stage is Stage.VERIFIED
        assert reading.upload.anomalies == ()
        assert (client.clock_offset.is_known, client.clock_offset.used_seconds) == (True, 0)


async def test_a_token_is_renewed_before_it_expires_and_when_it_is_rejected() -> None:
    async with serving() as caller:
        exchanges = 0

        async def count(request: httpx.Request) -> None:
            nonlocal exchanges
            exchanges += request.url.path.endswith("api_token")

        account = caller.service.account
        credentials = Credentials("x.1.rejected", account.agent_key, account.user_key)
        async with ServiceClient(
            caller.service.base_url, credentials, transport=caller.transport, clock=caller.clock
        ) as client:
            client._http.event_hooks["request"].append(count)
            await client.projects()
            caller.clock.advance(7000)
            await client.projects()
            await client.projects()
        assert exchanges == 2


async def test_wrong_keys_are_an_auth_error() -> None:
    async with serving() as caller:
        credentials = Credentials(agent_key="x", user_key="y")
        async with ServiceClient(caller.service.base_url, credentials, transport=caller.transport) as client:
            with pytest.raises(AuthError):
                await client.projects()


async def test_requests_of_the_last_minute_include_failed_ones() -> None:
    clock, responses = (
        FrozenClock(),
        [envelope(500), httpx.Response(200, json=an_upload("scan.tiff", id="u-1")), envelope(400)],
    )
    transport = httpx.MockTransport(lambda _: responses.pop(0))
    async with ServiceClient(ROOT, Credentials(token="t"), transport=transport, clock=clock) as client:
        assert client.requests_last_minute == 0
        await client.upload("u-1")
        assert client.requests_last_minute == 2
        clock.advance(59)
        with pytest.raises(BadRequestError):
            await client.upload("u-1")
        assert client.requests_last_minute == 3
        clock.advance(1)
        assert client.requests_last_minute == 1


async def page_or_error(client: ServiceClient) -> UploadPage | str:
    try:
        return await client.upload_page("p-1", 1, 20)
    except InvalidResponseError as error:
        return error.title


async def test_an_upload_that_is_listed_again_without_a_change_is_not_parsed_again() -> None:
    old, new = an_upload("a", initiated=50, completed=40, verified=30), an_upload("b", initiated=9)
    ended = an_upload("b", initiated=9, completed=8, verified=7)
    twice = json.dumps(old).replace('"id"', '"id": "x", "id"', 1)
    bodies = [
        json.dumps({"results": results} | others)
        for results in ([new, old], [new, old], [ended, old], [7, old, {"id": ""}, ended], [], [old])
        for others in ({}, {"next": "x"})
    ]
    bodies += [f'{{"results": [{twice}, {json.dumps(old)}]}}', '{"results": [{"id": "\\ud800"}], "results": []}']
    bodies += [f'{{"results": [{json.dumps(old)}, {{"id": "d", "x": {"[" * 200_000}{"]" * 200_000}}}]}}']
    answers = iter([*bodies, *bodies])
    one = client_of(lambda request: httpx.Response(200, text=next(answers)))
    *pages, too_deep = [await page_or_error(one) for _ in bodies]
    for page in (*pages, too_deep):
        assert await page_or_error(client_of(lambda request: httpx.Response(200, text=next(answers)))) == page
    assert isinstance(too_deep, str)
    first, second = (page.readings for page in (pages[0], pages[2]) if isinstance(page, UploadPage))
    assert second[1].raw is first[1].raw
    assert second[0].raw is not first[0].raw


async def test_what_is_known_of_the_first_page_is_kept_for_each_of_many_projects() -> None:
    upload = an_upload("a", initiated=50, completed=40, verified=30) | {"project": None}
    one = client_of(lambda request: httpx.Response(200, json={"results": [upload]}))
    first = [await one.upload_page(f"p-{number}", 1, 20) for number in range(100)]
    await one.upload_page("p-0", 2, 100)  # the comparison of old pages
    for number, page in enumerate(first):
        again = await one.upload_page(f"p-{number}", 1, 20)
        assert again.readings[0].raw is page.readings[0].raw


@pytest.mark.parametrize("others", [{}, {"next": "x"}], ids=["results alone", "other keys"])
async def test_some_entries_of_a_page_are_read_as_with_the_whole_page(others: dict[str, str]) -> None:
    entries = [
        an_upload("a", error=3),
        7,
        an_upload("b", completed=3),
        {"id": ""},
        an_upload("c", verified=2) | {"name": "\ud800"},
    ]
    client = client_of(lambda request: httpx.Response(200, text=json.dumps({"results": entries} | others)))
    raw = await client.raw_page("p-1", 1, 20)
    whole = client.parse_page(raw)
    for wanted in ([0], [4, 1], [1, 3], [0, 1, 2, 3, 4]):
        single = [client.parse_page(raw, [index]) for index in wanted]
        found = client.parse_page(raw, wanted)
        assert [*found.readings] == [reading for page in single for reading in page.readings]
        assert len(found.readings) + len(found.unreadable) == len(wanted)
    assert client.parse_page(raw, range(5)) == whole


async def test_entries_of_a_page_that_are_not_asked_for_are_not_parsed() -> None:
    """An invalid byte in one of them, which no parser accepts, shows it."""
    body = b'{"results": [%s, {"id": "\xff"}]}' % json.dumps(an_upload("a")).encode()
    client = client_of(lambda request: httpx.Response(200, content=body))
    raw = await client.raw_page("p-1", 1, 20)
    assert [reading.upload.name for reading in client.parse_page(raw, [0]).readings] == ["a"]
    with pytest.raises(InvalidResponseError):
        client.parse_page(raw)

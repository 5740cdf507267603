"""The wire contract: error envelopes, paging, tokens, signed URLs, shapes of `status`."""

from typing import Any

import pytest

from tests.contract.calls import FILE, md5, serving
from upload_tui.backend import FaultName
from upload_tui.backend.auth import TOKEN_LIFETIME, URL_LIFETIME
from upload_tui.wire import STATUS_SHAPE_HEADER, StatusShape
from upload_tui.wire.status_shapes import detect_shape

DIGEST = {"hash": {"value": md5(b"".join(FILE)), "algorithm": "md5"}}


async def test_valid_keys_give_a_token() -> None:
    async with serving() as caller:
        account = caller.service.account
        keys = {"agent_key": account.agent_key, "user_key": account.user_key}
        response = await caller.http.post("/api/v1/software_agents/api_token", json=keys)
        assert response.status_code == 201
        assert response.json()["time_to_live"] == 7200
        user = await caller.http.get("/api/v1/current_user", headers={"Authorization": response.json()["api_token"]})
        assert user.json()["username"] == "ada"


@pytest.mark.parametrize(
    ("keys", "status"),
    [({"agent_key": "x"}, 400), ({"agent_key": "x", "user_key": "y"}, 404)],
    ids=["missing", "wrong"],
)
async def test_wrong_keys_give_no_token(keys: dict[str, str], status: int) -> None:
    async with serving() as caller:
        response = await caller.http.post("/api/v1/software_agents/api_token", json=keys)
        assert response.status_code == status


@pytest.mark.parametrize("right", ["agent_key", "user_key"])
async def test_one_right_key_of_two_gives_no_token(right: str) -> None:
    async with serving() as caller:
        keys = {"agent_key": "x", "user_key": "y", right: getattr(caller.service.account, right)}
        response = await caller.http.post("/api/v1/software_agents/api_token", json=keys)
        assert response.status_code == 404
        assert "api_token" not in response.json()


@pytest.mark.parametrize(
    ("token", "reason"),
    [(None, "no api_token"), ("x.1.y", "invalid api_token"), ("", "no api_token"), ("§", "invalid api_token")],
    ids=["missing", "forged", "empty", "not-ascii"],
)
async def test_a_bad_token_is_rejected(token: str | None, reason: str) -> None:
    async with serving() as caller:
        headers = {} if token is None else {b"Authorization": token.encode()}
        response = await caller.http.get("/api/v1/projects", headers=headers)
        assert response.status_code == 401
        assert response.json()["reason"] == reason
        assert set(response.json()) == {"error", "code", "reason", "suggestion"}


async def test_a_token_expires() -> None:
    async with serving() as caller:
        headers = {"Authorization": caller.service.new_token()}
        caller.clock.advance(TOKEN_LIFETIME.total_seconds() + 1)
        response = await caller.http.get("/api/v1/projects", headers=headers)
        assert (response.status_code, response.json()["reason"]) == (401, "expired api_token")


async def test_a_missing_parameter_comes_before_a_missing_token() -> None:
    async with serving() as caller:
        response = await caller.http.post("/api/v1/projects/none/uploads", json={"name": "x", "size": "many"})
        assert response.status_code == 400
        assert response.json() == {"error": "content_type is missing, size is invalid"}


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/projects/none", 404, "Project Not Found"),
        ("GET", "/uploads/none", 404, "Upload Not Found"),
        ("GET", "/nothing", 404, "Not Found"),
        ("DELETE", "/projects", 405, "Method Not Allowed"),
    ],
    ids=["project", "upload", "path", "method"],
)
async def test_a_missing_resource_gives_the_error_envelope(method: str, path: str, status: int, reason: str) -> None:
    async with serving() as caller:
        response = await caller.call(method, path)
        assert response.status_code == status
        assert response.json()["error"] == status
        assert response.json()["reason"] == reason


async def test_paging_is_in_the_headers() -> None:
    async with serving() as caller:
        for number in range(5):
            caller.clock.advance(1)
            await caller.initiate(f"{number}.bin")
        path = f"/projects/{caller.service.project.id}/uploads"
        first = await caller.call("GET", path, params={"per_page": 2})
        assert [upload["name"] for upload in first.json()["results"]] == ["4.bin", "3.bin"]
        assert headers_of(first) == ("5", "3", "1", "2", "2", "")
        last = await caller.call("GET", path, params={"per_page": 2, "page": 3})
        assert headers_of(last) == ("5", "3", "3", "2", "", "2")
        beyond = await caller.call("GET", path, params={"per_page": 2, "page": 9})
        assert beyond.json() == {"results": []}
        assert headers_of(beyond)[4:] == ("", "")
        too_many = await caller.call("GET", path, params={"per_page": 1001})
        assert (too_many.status_code, too_many.json()) == (400, {"error": "per_page must be less than 1000"})


def headers_of(response: Any) -> tuple[str, ...]:
    names = ("X-Total", "X-Total-Pages", "X-Page", "X-Per-Page", "X-Next-Page", "X-Prev-Page")
    return tuple(response.headers[name] for name in names)


async def test_an_upload_can_be_completed_with_a_form() -> None:
    async with serving() as caller:
        upload_id = await caller.initiate(size=0)
        form = {"hash[value]": md5(b""), "hash[algorithm]": "md5"}
        response = await caller.call("PUT", f"/uploads/{upload_id}/complete", data=form)
        assert response.status_code == 202
        assert response.json()["hashes"][0]["value"] == md5(b"")


async def test_an_upload_can_be_completed_only_once() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(tuple(enumerate(FILE, 1)))
        caller.clock.advance(60)
        again = await caller.call("PUT", f"/uploads/{upload_id}/complete", json=DIGEST)
        assert again.status_code == 400
        assert again.json()["errors"] == [{"field": "completed_at", "message": "Cannot change completed_at."}]
        assert (await caller.status(upload_id))["completed_on"] == "2026-03-14T09:26:53.000Z"


async def test_an_unknown_algorithm_is_rejected() -> None:
    async with serving() as caller:
        upload_id = await caller.initiate()
        body = {"hash": {"value": "x", "algorithm": "crc32"}}
        response = await caller.call("PUT", f"/uploads/{upload_id}/complete", json=body)
        assert response.status_code == 400
        assert response.json()["errors"] == [
            {"field": "fingerprints.algorithm", "message": "is not included in the list"}
        ]


async def signed_url(caller: Any, upload_id: str, number: int = 1) -> str:
    report = {"number": number, "size": 4, "hash": {"value": md5(b"0123"), "algorithm": "md5"}}
    target = (await caller.call("PUT", f"/uploads/{upload_id}/chunks", json=report)).json()
    assert target["http_verb"] == "PUT"
    assert target["host"].startswith("http")
    return str(target["host"] + target["url"])


async def test_a_signed_url_is_valid_for_one_path_until_it_expires() -> None:
    async with serving() as caller:
        upload_id = await caller.initiate()
        url = await signed_url(caller, upload_id)
        await signed_url(caller, upload_id, 2)
        other_path = url.replace(f"{upload_id}/1", f"{upload_id}/2")
        longer = url.replace("expires=1", "expires=2")
        assert [(await caller.http.put(bad, content=b"0123")).status_code for bad in (other_path, longer)] == [403, 403]
        assert (await caller.http.put(url, content=b"0123")).status_code == 201
        caller.clock.advance(URL_LIFETIME.total_seconds() + 1)
        assert (await caller.http.put(url, content=b"0123")).status_code == 403


async def test_a_signed_url_is_valid_for_one_method() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(tuple(enumerate(FILE, 1)))
        await caller.verify_all()
        url = caller.service._context.signed_url("PUT", f"/storage/{upload_id}")["url"]
        assert (await caller.http.get(url)).status_code == 403
        url = caller.service._context.signed_url("GET", f"/storage/{upload_id}")["url"]
        assert (await caller.http.get(url)).status_code == 200
        assert (await caller.http.put(url, content=b"x")).status_code == 403


@pytest.mark.parametrize("shape", StatusShape)
async def test_the_status_has_the_configured_shape(shape: StatusShape) -> None:
    async with serving(status_shape=shape) as caller:
        assert detect_shape(await caller.status(await caller.initiate())) is shape


@pytest.mark.parametrize("shape", StatusShape)
async def test_a_header_chooses_the_shape_of_one_response(shape: StatusShape) -> None:
    async with serving() as caller:
        upload_id = await caller.initiate()
        response = await caller.call("GET", f"/uploads/{upload_id}", headers={STATUS_SHAPE_HEADER: shape.upper()})
        assert detect_shape(response.json()["status"]) is shape
        unknown = await caller.call("GET", f"/uploads/{upload_id}", headers={STATUS_SHAPE_HEADER: "c"})
        assert unknown.status_code == 400


async def test_extra_slashes_are_removed_from_paths() -> None:
    async with serving() as caller:
        assert (await caller.call("GET", "//projects/?%7B%7D")).status_code == 200


async def test_json_is_compact() -> None:
    async with serving() as caller:
        assert b'": ' not in (await caller.call("GET", "/projects")).content


async def test_every_response_has_the_services_date() -> None:
    async with serving() as caller:
        assert (await caller.call("GET", "/projects")).headers["date"] == "Sat, 14 Mar 2026 09:26:53 GMT"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (FaultName.OUTAGE, 503),
        (FaultName.TOO_MANY_REQUESTS, 429),
        (FaultName.SERVER_ERROR, 500),
        (FaultName.EXPIRED_TOKENS, 401),
    ],
    ids=str,
)
async def test_a_fault_ends_after_its_duration(fault: FaultName, status: int) -> None:
    async with serving() as caller:
        caller.service.faults.start(fault, 10)
        response = await caller.call("GET", "/projects")
        assert response.status_code == status
        assert response.json()["error"] == status
        caller.clock.advance(10)
        assert (await caller.call("GET", "/projects")).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"number": 0}', b'{"number": "x"}', b"\xff", b"[" * 50_000],
    ids=["cut", "list", "zero", "word", "bytes", "deep"],
)
async def test_a_malformed_body_gives_a_sentence(body: bytes) -> None:
    async with serving() as caller:
        upload_id = await caller.initiate()
        response = await caller.call("PUT", f"/uploads/{upload_id}/chunks", content=body)
        assert response.status_code == 400
        assert isinstance(response.json()["error"], str)


async def test_an_oversized_body_is_rejected() -> None:
    async with serving() as caller:
        response = await caller.call("POST", "/projects", content=b"x" * (1024 * 1024 + 1))
        assert (response.status_code, response.json()["error"]) == (413, 413)


async def test_the_same_seed_gives_the_same_ids() -> None:
    ids = []
    for _ in range(2):
        async with serving() as caller:
            ids.append(await caller.initiate())
    assert ids[0] == ids[1]

"""The wire contract of folders, files, versions and downloads."""

from typing import Any

import httpx
import pytest

from tests.contract.calls import FILE, Caller, md5, serving
from upload_tui.backend import FaultName
from upload_tui.backend.auth import URL_LIFETIME

CONTENT = b"".join(FILE)
NUMBERED = tuple(enumerate(FILE, 1))


async def call_json(caller: Caller, method: str, path: str, **fields: Any) -> Any:
    """Make a call that must succeed. Returns its JSON, None for an empty response."""
    response = (await caller.call(method, path, json=fields or None)).raise_for_status()
    return response.json() if response.content else None


def project(caller: Caller) -> dict[str, str]:
    return {"kind": "dds-project", "id": caller.project_id}


def folder_in(folder: dict[str, Any]) -> dict[str, str]:
    return {"kind": "dds-folder", "id": folder["id"]}


async def make_file(caller: Caller, parent: dict[str, str], *, verified: bool = True) -> Any:
    upload_id = await caller.upload(NUMBERED)
    if verified:
        await caller.verify_all()
    return await call_json(caller, "POST", "/files/", parent=parent, upload={"id": upload_id})


async def names(caller: Caller, path: str, **query: str) -> list[str]:
    response = (await caller.call("GET", path, params=query)).raise_for_status()
    return [child["name"] for child in response.json()["results"]]


def error_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["reason"]


async def test_children_are_direct_ones_unless_a_name_is_searched() -> None:
    async with serving() as caller:
        outer = await call_json(caller, "POST", "/folders", name="outer", parent=project(caller))
        await call_json(caller, "POST", "/folders", name="Inner_100%", parent=folder_in(outer))
        await make_file(caller, folder_in(outer))
        children = f"/projects/{caller.project_id}/children"
        assert await names(caller, children) == ["outer"]
        assert await names(caller, children, name_contains="") == ["outer", "Inner_100%", "file.bin"]
        assert await names(caller, children, name_contains="inner") == ["Inner_100%"]
        assert await names(caller, children, name_contains="%") == ["Inner_100%"]
        assert await names(caller, f"/folders/{outer['id']}/children") == ["Inner_100%", "file.bin"]
        assert await names(caller, f"/folders/{outer['id']}/children", name_contains="FILE") == ["file.bin"]


async def test_an_entry_has_its_ancestors_and_omits_excluded_fields() -> None:
    async with serving() as caller:
        outer = await call_json(caller, "POST", "/folders", name="outer", parent=project(caller))
        file = await make_file(caller, folder_in(outer))
        assert [ancestor["name"] for ancestor in file["ancestors"]] == [caller.project_name, "outer"]
        assert file["parent"] == folder_in(outer)
        assert file["current_version"]["upload"]["hashes"][0]["value"] == md5(CONTENT)
        query = {"name_contains": "", "exclude_response_fields": "audit ancestors project id"}
        response = await caller.call("GET", f"/projects/{caller.project_id}/children", params=query)
        assert set(response.json()["results"][1]) == {"kind", "id", "parent", "name", "is_deleted", "current_version"}


@pytest.mark.parametrize("storage", [True, False], ids=["on-disk", "in-memory"])
async def test_a_download_equals_the_upload(storage: bool, tmp_path: Any) -> None:
    async with serving(storage=tmp_path if storage else None) as caller:
        file = await make_file(caller, project(caller))
        target = await call_json(caller, "GET", f"/files/{file['id']}/url")
        url = target["host"] + target["url"]
        response = await caller.http.get(url)
        assert (response.status_code, response.content) == (200, CONTENT)
        assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''file.bin"
        caller.clock.advance(URL_LIFETIME.total_seconds() + 1)
        assert (await caller.http.get(url)).status_code == 403


async def test_a_file_cannot_be_downloaded_before_verification() -> None:
    async with serving() as caller:
        file = await make_file(caller, project(caller), verified=False)
        for path in (f"/files/{file['id']}/url", f"/projects/{caller.project_id}/files"):
            response = await caller.call("GET", path)
            assert (response.status_code, response.json()["code"]) == (404, "resource_not_consistent")
        await caller.verify_all()
        files = await call_json(caller, "GET", f"/projects/{caller.project_id}/files")
        assert (await caller.http.get(files["results"][0]["file_url"]["url"])).content == CONTENT


async def test_a_file_that_failed_gives_the_deployed_services_message() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED, digest=md5(b"another file"))
        file = await call_json(caller, "POST", "/files", parent=project(caller), upload={"id": upload_id})
        await caller.verify_all()
        response = await caller.call("GET", f"/files/{file['id']}/url")
        assert error_of(response) == (400, "reported hash value does not match size computed by StorageProvider")
        assert response.json()["suggestion"] == "You must begin a new upload process"


async def test_no_file_is_made_of_an_upload_that_failed() -> None:
    async with serving() as caller:
        file = await make_file(caller, project(caller))
        upload_id = await caller.upload(NUMBERED, digest=md5(b"another file"))
        await caller.verify_all()
        fields = {"parent": project(caller), "upload": {"id": upload_id}}
        for method, path in (("POST", "/files"), ("PUT", f"/files/{file['id']}")):
            response = await caller.call(method, path, json=fields)
            assert response.status_code == 400
            assert response.json()["errors"] == [{"field": "upload", "message": "upload cannot have an error"}]


async def test_a_changed_file_keeps_its_earlier_versions() -> None:
    async with serving() as caller:
        file = await make_file(caller, project(caller))
        second = await UnchunkedUploads(caller).upload(b"the second")
        await caller.verify_all()
        form = {"upload[id]": second, "label": "again"}
        changed = (await caller.call("PUT", f"/files/{file['id']}", data=form)).raise_for_status().json()
        assert (changed["current_version"]["version"], changed["current_version"]["label"]) == (2, "again")
        versions = (await call_json(caller, "GET", f"/files/{file['id']}/versions"))["results"]
        assert [version["version"] for version in versions] == [2, 1]
        contents = []
        for version in versions:
            assert await call_json(caller, "GET", f"/file_versions/{version['id']}") == version
            target = await call_json(caller, "GET", f"/file_versions/{version['id']}/url")
            contents.append((await caller.http.get(target["url"])).content)
        assert contents == [b"the second", CONTENT]


async def test_a_file_needs_a_completed_upload_of_its_project() -> None:
    async with serving() as caller:
        created = await caller.initiate()
        other = await call_json(caller, "POST", "/projects", name="other")
        elsewhere = {"kind": "dds-project", "id": other["id"]}
        completed = await caller.upload(NUMBERED)
        for parent, upload_id in ((project(caller), created), (elsewhere, completed)):
            response = await caller.call("POST", "/files", json={"parent": parent, "upload": {"id": upload_id}})
            assert response.status_code == 400
            assert response.json()["errors"][0]["field"] == "upload"
        wrong_kind = {"parent": {"kind": "dds-planet", "id": other["id"]}, "upload": {"id": completed}}
        response = await caller.call("POST", "/files", json=wrong_kind)
        assert (response.status_code, response.json()["suggestion"]) == (404, "Please supply a supported object_kind")


async def test_nodes_are_renamed_and_moved_within_their_project_but_not_into_themselves() -> None:
    async with serving() as caller:
        outer = await call_json(caller, "POST", "/folders", name="outer", parent=project(caller))
        inner = await call_json(caller, "POST", "/folders", name="inner", parent=folder_in(outer))
        file = await make_file(caller, folder_in(inner))
        await call_json(caller, "PUT", f"/files/{file['id']}/rename", name="new.bin")
        await call_json(caller, "PUT", f"/folders/{inner['id']}/rename", name="new")
        moved = await call_json(caller, "PUT", f"/files/{file['id']}/move", parent=project(caller))
        assert (moved["name"], moved["parent"]) == ("new.bin", project(caller))
        for place in (outer, inner):
            response = await caller.call("PUT", f"/folders/{outer['id']}/move", json={"parent": folder_in(place)})
            assert response.status_code == 400
        moved_up = await call_json(caller, "PUT", f"/folders/{inner['id']}/move", parent=project(caller))
        assert (moved_up["name"], moved_up["ancestors"]) == ("new", [{**project(caller), "name": caller.project_name}])
        other = await call_json(caller, "POST", "/projects", name="other")
        elsewhere = {"parent": {"kind": "dds-project", "id": other["id"]}}
        assert (await caller.call("PUT", f"/files/{file['id']}/move", json=elsewhere)).status_code == 400


async def test_deleting_a_folder_deletes_its_contents() -> None:
    async with serving() as caller:
        outer = await call_json(caller, "POST", "/folders", name="outer", parent=project(caller))
        inner = await call_json(caller, "POST", "/folders", name="inner", parent=folder_in(outer))
        file = await make_file(caller, folder_in(inner))
        assert (await caller.call("DELETE", f"/folders/{outer['id']}")).status_code == 204
        for path in (f"/folders/{inner['id']}", f"/files/{file['id']}", f"/files/{file['id']}/url"):
            assert (await caller.call("GET", path)).status_code == 404
        assert await names(caller, f"/projects/{caller.project_id}/children", name_contains="") == []


async def test_uploads_of_a_deleted_project_are_still_verified() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        renamed = await call_json(caller, "PUT", f"/projects/{caller.project_id}", description="not for long")
        assert (renamed["name"], renamed["description"]) == (caller.project_name, "not for long")
        assert (await caller.call("DELETE", f"/projects/{caller.project_id}")).status_code == 204
        assert error_of(await caller.call("GET", f"/projects/{caller.project_id}")) == (404, "Project Not Found")
        assert (await call_json(caller, "GET", "/projects"))["results"] == []
        assert await caller.verify_all() == [upload_id]
        assert (await caller.status(upload_id))["verified_on"]


async def test_unreadable_bytes_give_a_storage_error() -> None:
    async with serving() as caller:
        file = await make_file(caller, project(caller))
        target = await call_json(caller, "GET", f"/files/{file['id']}/url")
        caller.start_fault(FaultName.BROKEN_STORAGE)
        assert error_of(await caller.http.get(target["url"])) == (500, "The storage provider is unavailable")


class UnchunkedUploads:
    """Unchunked uploads."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    async def initiate_unchunked(self, size: int, **fields: Any) -> Any:
        fields = {"name": "whole.bin", "content_type": "text/plain", "size": size, "chunked": False, **fields}
        return (
            (await self.caller.call("POST", f"/projects/{self.caller.project_id}/uploads", json=fields))
            .raise_for_status()
            .json()
        )

    async def upload(self, content: bytes, sent: bytes | None = None, size: int | None = None) -> str:
        """Initiate, send and complete an upload. `sent` replaces the content; empty sends nothing."""
        created = await self.initiate_unchunked(len(content) if size is None else size)
        if sent != b"":
            stored = await self.caller.http.put(created["signed_url"]["url"], content=content if sent is None else sent)
            assert stored.status_code == 201
        (await self.caller.complete(created["id"], md5(content))).raise_for_status()
        return str(created["id"])


@pytest.mark.parametrize(
    ("content", "sent", "size", "message"),
    [
        (b"all of it", None, None, None),
        (b"", None, None, None),
        (b"all of it", b"all of 1t", None, "reported hash value does not match size computed by StorageProvider"),
        (b"all of it", None, 12, "reported size does not match size computed by StorageProvider"),
        (b"all of it", b"", None, "NonChunkedUpload not found in object store"),
    ],
    ids=["right", "empty", "altered", "wrong-size", "never-sent"],
)
async def test_an_unchunked_upload_is_verified(
    content: bytes, sent: bytes | None, size: int | None, message: str | None
) -> None:
    async with serving() as caller:
        upload_id = await UnchunkedUploads(caller).upload(content, sent, size)
        await caller.verify_all()
        error_message = (await caller.status(upload_id))["error_message"]
        assert error_message == message if message is None else error_message.startswith(message)


async def test_an_unchunked_upload_has_a_url_until_completion_and_no_chunks() -> None:
    async with serving() as caller:
        response = await caller.call(
            "POST",
            f"/projects/{caller.project_id}/uploads",
            data={"name": "a", "content_type": "b", "size": "1", "chunked": "false"},
        )
        created = response.json()
        assert "chunks" not in created
        assert response.headers["X-MAX-UPLOAD-SIZE"] == "5368709120"
        assert (await call_json(caller, "GET", f"/uploads/{created['id']}"))["signed_url"]["http_verb"] == "PUT"
        report = {"number": 1, "size": 1, "hash": {"value": md5(b"a"), "algorithm": "md5"}}
        assert (await caller.call("PUT", f"/uploads/{created['id']}/chunks", json=report)).status_code == 400
        completed = (await caller.complete(created["id"], md5(b"a"))).json()
        assert "signed_url" not in completed
        late = await caller.http.put(created["signed_url"]["url"], content=b"a")
        assert late.json()["errors"] == [{"field": "completed_at", "message": "Cannot change completed_at."}]


async def test_a_file_over_the_providers_limits_is_rejected() -> None:
    async with serving() as caller:
        for chunked, largest in ((True, 5368709120000), (False, 5368709120)):
            fields = {"name": "a", "content_type": "b", "size": largest + 1, "chunked": chunked}
            response = await caller.call("POST", f"/projects/{caller.project_id}/uploads", json=fields)
            message = f"File size is currently not supported - maximum size is {largest}"
            assert response.json()["errors"] == [{"field": "size", "message": message}]


async def test_a_young_project_rejects_uploads_while_the_fault_is_active() -> None:
    async with serving() as caller:
        caller.start_fault(FaultName.YOUNG_PROJECTS)
        made = await call_json(caller, "POST", "/projects", name="young")
        fields = {"name": "a", "content_type": "b", "size": 1}
        early = await caller.call("POST", f"/projects/{made['id']}/uploads", json=fields)
        assert (early.status_code, early.json()["code"]) == (404, "resource_not_consistent")
        caller.clock.advance(4)
        assert (await caller.call("POST", f"/projects/{made['id']}/uploads", json=fields)).status_code == 201


@pytest.mark.parametrize(("digest", "status"), [(md5(CONTENT), 200), (md5(b"another"), 400)], ids=["right", "wrong"])
async def test_a_digest_reported_after_verification_must_match_the_stored_bytes(digest: str, status: int) -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        await caller.verify_all()
        report = {"algorithm": "md5", "value": digest}
        response = await caller.call("PUT", f"/uploads/{upload_id}/hashes", json=report)
        assert response.status_code == status
        hashes = (await call_json(caller, "GET", f"/uploads/{upload_id}"))["hashes"]
        assert [found["value"] for found in hashes] == [md5(CONTENT)]


async def test_the_only_account_is_the_admin_of_every_project() -> None:
    async with serving() as caller:
        user = await call_json(caller, "GET", "/current_user")
        mine = f"/projects/{caller.project_id}/permissions/{user['id']}"
        assert (await call_json(caller, "GET", mine))["auth_role"]["id"] == "project_admin"
        granted = await caller.call("PUT", mine, data={"auth_role[id]": "project_admin"})
        assert granted.json()["user"]["username"] == "ada"
        lowered = await caller.call("PUT", mine, data={"auth_role[id]": "project_viewer"})
        assert lowered.json()["errors"][0]["field"] == "auth_role"
        assert [found["id"] for found in (await call_json(caller, "GET", "/users?username=ada"))["results"]] == [
            user["id"]
        ]
        assert (await call_json(caller, "GET", "/users?username=eve"))["results"] == []


@pytest.mark.parametrize(
    ("search", "count"),
    [
        ({}, 1),
        ({"username": "ada"}, 1),
        ({"email": "ada@example.org"}, 1),
        ({"username": "grace"}, 0),
        ({"page": 2}, 0),
    ],
)
async def test_affiliates_are_found_as_accounts_are(search: dict[str, str], count: int) -> None:
    async with serving() as caller:
        provider = (await call_json(caller, "GET", "/auth_providers"))["results"][0]
        path = f"/auth_providers/{provider['id']}/affiliates"
        found = (await caller.call("GET", path, params=search)).json()["results"]
        users = (await caller.call("GET", "/users", params=search)).json()["results"]
        assert [one["uid"] for one in found] == [user["username"] for user in users] == ["ada"] * count
        registered = await caller.call("POST", f"{path}/ada/dds_user")
        assert (registered.status_code, registered.json()["username"]) == (201, "ada")
        assert error_of(await caller.call("POST", f"{path}/grace/dds_user")) == (404, "Affiliate Not Found")

"""Folders, files, versions and downloads on the wire."""

from typing import Any

import httpx
import pytest

from tests.contract.calls import FILE, Caller, md5, serving
from upload_tui.backend import FaultName
from upload_tui.backend.auth import URL_LIFETIME

CONTENT = b"".join(FILE)
NUMBERED = tuple(enumerate(FILE, 1))


async def done(caller: Caller, method: str, path: str, **fields: Any) -> Any:
    """What a call gives that must succeed."""
    answer = (await caller.call(method, path, json=fields or None)).raise_for_status()
    return answer.json() if answer.content else None


def project(caller: Caller) -> dict[str, str]:
    return {"kind": "dds-project", "id": caller.project_id}


def folder_in(folder: dict[str, Any]) -> dict[str, str]:
    return {"kind": "dds-folder", "id": folder["id"]}


async def make_file(caller: Caller, parent: dict[str, str], *, verified: bool = True) -> Any:
    upload_id = await caller.upload(NUMBERED)
    if verified:
        await caller.verify_all()
    return await done(caller, "POST", "/files/", parent=parent, upload={"id": upload_id})


async def names(caller: Caller, path: str, **query: str) -> list[str]:
    answer = (await caller.call("GET", path, params=query)).raise_for_status()
    return [child["name"] for child in answer.json()["results"]]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["reason"]


async def test_children_are_direct_ones_unless_a_name_is_searched_for() -> None:
    async with serving() as caller:
        outer = await done(caller, "POST", "/folders", name="outer", parent=project(caller))
        await done(caller, "POST", "/folders", name="Inner_100%", parent=folder_in(outer))
        await make_file(caller, folder_in(outer))
        children = f"/projects/{caller.project_id}/children"
        assert await names(caller, children) == ["outer"]
        assert await names(caller, children, name_contains="") == ["outer", "Inner_100%", "file.bin"]
        assert await names(caller, children, name_contains="inner") == ["Inner_100%"]
        assert await names(caller, children, name_contains="%") == ["Inner_100%"]
        assert await names(caller, f"/folders/{outer['id']}/children") == ["Inner_100%", "file.bin"]
        assert await names(caller, f"/folders/{outer['id']}/children", name_contains="FILE") == ["file.bin"]


async def test_an_entry_knows_its_place_and_leaves_out_what_nobody_wants() -> None:
    async with serving() as caller:
        outer = await done(caller, "POST", "/folders", name="outer", parent=project(caller))
        file = await make_file(caller, folder_in(outer))
        assert [above["name"] for above in file["ancestors"]] == [caller.project_name, "outer"]
        assert file["parent"] == folder_in(outer)
        assert file["current_version"]["upload"]["hashes"][0]["value"] == md5(CONTENT)
        query = {"name_contains": "", "exclude_response_fields": "audit ancestors project id"}
        answer = await caller.call("GET", f"/projects/{caller.project_id}/children", params=query)
        assert set(answer.json()["results"][1]) == {"kind", "id", "parent", "name", "is_deleted", "current_version"}


@pytest.mark.parametrize("storage", [True, False], ids=["on-disk", "in-memory"])
async def test_what_is_downloaded_is_what_was_uploaded(storage: bool, tmp_path: Any) -> None:
    async with serving(storage=tmp_path if storage else None) as caller:
        file = await make_file(caller, project(caller))
        target = await done(caller, "GET", f"/files/{file['id']}/url")
        url = target["host"] + target["url"]
        answer = await caller.http.get(url)
        assert (answer.status_code, answer.content) == (200, CONTENT)
        assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''file.bin"
        caller.clock.advance(URL_LIFETIME.total_seconds() + 1)
        assert (await caller.http.get(url)).status_code == 403


async def test_a_file_that_is_not_verified_is_not_given() -> None:
    async with serving() as caller:
        file = await make_file(caller, project(caller), verified=False)
        for path in (f"/files/{file['id']}/url", f"/projects/{caller.project_id}/files"):
            answer = await caller.call("GET", path)
            assert (answer.status_code, answer.json()["code"]) == (404, "resource_not_consistent")
        await caller.verify_all()
        files = await done(caller, "GET", f"/projects/{caller.project_id}/files")
        assert (await caller.http.get(files["results"][0]["file_url"]["url"])).content == CONTENT


async def test_a_file_that_failed_is_refused_in_the_deployed_services_own_words() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED, digest=md5(b"another file"))
        await caller.verify_all()
        file = await done(caller, "POST", "/files", parent=project(caller), upload={"id": upload_id})
        answer = await caller.call("GET", f"/files/{file['id']}/url")
        assert refusal(answer) == (400, "reported hash value does not match size computed by StorageProvider")
        assert answer.json()["suggestion"] == "You must begin a new upload process"


async def test_a_changed_file_keeps_its_old_versions() -> None:
    async with serving() as caller:
        file = await make_file(caller, project(caller))
        second = await UploadOf(caller).whole(b"the second")
        await caller.verify_all()
        form = {"upload[id]": second, "label": "again"}
        changed = (await caller.call("PUT", f"/files/{file['id']}", data=form)).raise_for_status().json()
        assert (changed["current_version"]["version"], changed["current_version"]["label"]) == (2, "again")
        versions = (await done(caller, "GET", f"/files/{file['id']}/versions"))["results"]
        assert [version["version"] for version in versions] == [2, 1]
        contents = []
        for version in versions:
            assert await done(caller, "GET", f"/file_versions/{version['id']}") == version
            target = await done(caller, "GET", f"/file_versions/{version['id']}/url")
            contents.append((await caller.http.get(target["url"])).content)
        assert contents == [b"the second", CONTENT]


async def test_a_file_is_made_only_of_a_completed_upload_of_its_project() -> None:
    async with serving() as caller:
        begun = await caller.initiate()
        other = await done(caller, "POST", "/projects", name="other")
        elsewhere = {"kind": "dds-project", "id": other["id"]}
        completed = await caller.upload(NUMBERED)
        for parent, upload_id in ((project(caller), begun), (elsewhere, completed)):
            answer = await caller.call("POST", "/files", json={"parent": parent, "upload": {"id": upload_id}})
            assert answer.status_code == 400
            assert answer.json()["errors"][0]["field"] == "upload"
        wrong_kind = {"parent": {"kind": "dds-planet", "id": other["id"]}, "upload": {"id": completed}}
        answer = await caller.call("POST", "/files", json=wrong_kind)
        assert (answer.status_code, answer.json()["suggestion"]) == (404, "Please supply a supported object_kind")


async def test_things_are_renamed_and_moved_within_their_project_and_never_into_themselves() -> None:
    async with serving() as caller:
        outer = await done(caller, "POST", "/folders", name="outer", parent=project(caller))
        inner = await done(caller, "POST", "/folders", name="inner", parent=folder_in(outer))
        file = await make_file(caller, folder_in(inner))
        await done(caller, "PUT", f"/files/{file['id']}/rename", name="new.bin")
        await done(caller, "PUT", f"/folders/{inner['id']}/rename", name="new")
        moved = await done(caller, "PUT", f"/files/{file['id']}/move", parent=project(caller))
        assert (moved["name"], moved["parent"]) == ("new.bin", project(caller))
        for place in (outer, inner):
            answer = await caller.call("PUT", f"/folders/{outer['id']}/move", json={"parent": folder_in(place)})
            assert answer.status_code == 400
        freed = await done(caller, "PUT", f"/folders/{inner['id']}/move", parent=project(caller))
        assert (freed["name"], freed["ancestors"]) == ("new", [{**project(caller), "name": caller.project_name}])
        other = await done(caller, "POST", "/projects", name="other")
        elsewhere = {"parent": {"kind": "dds-project", "id": other["id"]}}
        assert (await caller.call("PUT", f"/files/{file['id']}/move", json=elsewhere)).status_code == 400


async def test_everything_in_a_folder_goes_with_it() -> None:
    async with serving() as caller:
        outer = await done(caller, "POST", "/folders", name="outer", parent=project(caller))
        inner = await done(caller, "POST", "/folders", name="inner", parent=folder_in(outer))
        file = await make_file(caller, folder_in(inner))
        assert (await caller.call("DELETE", f"/folders/{outer['id']}")).status_code == 204
        for path in (f"/folders/{inner['id']}", f"/files/{file['id']}", f"/files/{file['id']}/url"):
            assert (await caller.call("GET", path)).status_code == 404
        assert await names(caller, f"/projects/{caller.project_id}/children", name_contains="") == []


async def test_a_deleted_project_is_gone_but_its_uploads_are_verified_to_the_end() -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        renamed = await done(caller, "PUT", f"/projects/{caller.project_id}", description="not for long")
        assert (renamed["name"], renamed["description"]) == (caller.project_name, "not for long")
        assert (await caller.call("DELETE", f"/projects/{caller.project_id}")).status_code == 204
        assert refusal(await caller.call("GET", f"/projects/{caller.project_id}")) == (404, "Project Not Found")
        assert (await done(caller, "GET", "/projects"))["results"] == []
        assert await caller.verify_all() == [upload_id]
        assert (await caller.status(upload_id))["verified_on"]


async def test_bytes_that_cannot_be_read_are_a_trouble_of_the_storage() -> None:
    async with serving() as caller:
        file = await make_file(caller, project(caller))
        target = await done(caller, "GET", f"/files/{file['id']}/url")
        caller.start_fault(FaultName.BROKEN_STORAGE)
        assert refusal(await caller.http.get(target["url"])) == (500, "The storage provider is unavailable")


class UploadOf:
    """Uploads in one piece."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    async def begin(self, size: int, **fields: Any) -> Any:
        wanted = {"name": "whole.bin", "content_type": "text/plain", "size": size, "chunked": False, **fields}
        return (
            (await self.caller.call("POST", f"/projects/{self.caller.project_id}/uploads", json=wanted))
            .raise_for_status()
            .json()
        )

    async def whole(self, content: bytes, sent: bytes | None = None, size: int | None = None) -> str:
        """Begun, sent (other bytes, or none at all if the test says so), completed."""
        begun = await self.begin(len(content) if size is None else size)
        if sent != b"":
            stored = await self.caller.http.put(begun["signed_url"]["url"], content=content if sent is None else sent)
            assert stored.status_code == 201
        (await self.caller.complete(begun["id"], md5(content))).raise_for_status()
        return str(begun["id"])


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
async def test_an_upload_in_one_piece_is_verified_too(
    content: bytes, sent: bytes | None, size: int | None, message: str | None
) -> None:
    async with serving() as caller:
        upload_id = await UploadOf(caller).whole(content, sent, size)
        await caller.verify_all()
        said = (await caller.status(upload_id))["error_message"]
        assert said == message if message is None else said.startswith(message)


async def test_an_upload_in_one_piece_has_one_url_until_it_is_completed_and_no_chunks() -> None:
    async with serving() as caller:
        answer = await caller.call(
            "POST",
            f"/projects/{caller.project_id}/uploads",
            data={"name": "a", "content_type": "b", "size": "1", "chunked": "false"},
        )
        begun = answer.json()
        assert "chunks" not in begun
        assert answer.headers["X-MAX-UPLOAD-SIZE"] == "5368709120"
        assert (await done(caller, "GET", f"/uploads/{begun['id']}"))["signed_url"]["http_verb"] == "PUT"
        report = {"number": 1, "size": 1, "hash": {"value": md5(b"a"), "algorithm": "md5"}}
        assert (await caller.call("PUT", f"/uploads/{begun['id']}/chunks", json=report)).status_code == 400
        completed = (await caller.complete(begun["id"], md5(b"a"))).json()
        assert "signed_url" not in completed
        late = await caller.http.put(begun["signed_url"]["url"], content=b"a")
        assert late.json()["errors"] == [{"field": "completed_at", "message": "Cannot change completed_at."}]


async def test_a_file_over_the_providers_limits_is_refused() -> None:
    async with serving() as caller:
        for chunked, largest in ((True, 5368709120000), (False, 5368709120)):
            wanted = {"name": "a", "content_type": "b", "size": largest + 1, "chunked": chunked}
            answer = await caller.call("POST", f"/projects/{caller.project_id}/uploads", json=wanted)
            message = f"File size is currently not supported - maximum size is {largest}"
            assert answer.json()["errors"] == [{"field": "size", "message": message}]


async def test_a_young_project_takes_no_uploads_while_the_fault_lasts() -> None:
    async with serving() as caller:
        caller.start_fault(FaultName.YOUNG_PROJECTS)
        made = await done(caller, "POST", "/projects", name="young")
        wanted = {"name": "a", "content_type": "b", "size": 1}
        early = await caller.call("POST", f"/projects/{made['id']}/uploads", json=wanted)
        assert (early.status_code, early.json()["code"]) == (404, "resource_not_consistent")
        caller.clock.advance(4)
        assert (await caller.call("POST", f"/projects/{made['id']}/uploads", json=wanted)).status_code == 201


@pytest.mark.parametrize(
    ("digest", "status"), [(md5(CONTENT), 200), (md5(b"another"), 400)], ids=["right", "contradicting"]
)
async def test_a_digest_that_comes_after_verification_must_agree_with_the_stored_bytes(
    digest: str, status: int
) -> None:
    async with serving() as caller:
        upload_id = await caller.upload(NUMBERED)
        await caller.verify_all()
        report = {"algorithm": "md5", "value": digest}
        answer = await caller.call("PUT", f"/uploads/{upload_id}/hashes", json=report)
        assert answer.status_code == status
        hashes = (await done(caller, "GET", f"/uploads/{upload_id}"))["hashes"]
        assert [found["value"] for found in hashes] == [md5(CONTENT)]


async def test_the_only_account_is_the_admin_of_every_project() -> None:
    async with serving() as caller:
        user = await done(caller, "GET", "/current_user")
        mine = f"/projects/{caller.project_id}/permissions/{user['id']}"
        assert (await done(caller, "GET", mine))["auth_role"]["id"] == "project_admin"
        granted = await caller.call("PUT", mine, data={"auth_role[id]": "project_admin"})
        assert granted.json()["user"]["username"] == "ada"
        lowered = await caller.call("PUT", mine, data={"auth_role[id]": "project_viewer"})
        assert lowered.json()["errors"][0]["field"] == "auth_role"
        assert [found["id"] for found in (await done(caller, "GET", "/users?username=ada"))["results"]] == [user["id"]]
        assert (await done(caller, "GET", "/users?username=eve"))["results"] == []

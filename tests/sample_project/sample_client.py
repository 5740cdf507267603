"""A client with plain httpx: uploads a file in chunks."""

import hashlib
from collections.abc import Iterator

import httpx

CHUNK_BYTES = 1000


def upload(http: httpx.Client, project_id: str, name: str, content: bytes) -> str:
    """Upload a file with an authorised client; return the upload's id."""
    fields = {"name": name, "content_type": "application/octet-stream", "size": len(content)}
    path = f"/uploads/{_json(http.post(f'/projects/{project_id}/uploads', json=fields))['id']}"
    for number, chunk in enumerate(_chunks(content), 1):
        report = {"number": number, "size": len(chunk), "hash": {"value": _md5(chunk), "algorithm": "md5"}}
        target = _json(http.put(f"{path}/chunks", json=report))
        httpx.put(f"{target['host']}{target['url']}", content=chunk).raise_for_status()
    done = _json(http.put(f"{path}/complete", json={"hash": {"value": _md5(content), "algorithm": "md5"}}))
    return str(done["id"])


def stage(http: httpx.Client, upload_id: str) -> str:
    """The stage of an upload."""
    status = _json(http.get(f"/uploads/{upload_id}"))["status"]
    reached = [name for name in ("initiated", "completed", "verified", "error") if status[f"{name}_on"]]
    return reached[-1]


def _json(response: httpx.Response) -> dict[str, dict[str, str]]:
    fields: dict[str, dict[str, str]] = response.raise_for_status().json()
    return fields


def _chunks(content: bytes) -> Iterator[bytes]:
    return (content[start : start + CHUNK_BYTES] for start in range(0, len(content), CHUNK_BYTES))


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()

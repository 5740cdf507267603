"""`watch` over real sockets: the service in one process, uploads by the test, the dashboard on a real terminal."""

import hashlib
import re
from typing import Any

import httpx
import pytest

from tests.e2e.terminal import Terminal

CHUNK_BYTES = 1024 * 1024
FILE = bytes(range(256)) * (3 * CHUNK_BYTES // 256)

pytestmark = pytest.mark.e2e


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def send(served: dict[str, Any], name: str, *, corrupt: bool = False) -> None:
    """Upload a file of 3 MiB in chunks; a corrupt one has a changed byte in its second chunk."""
    with httpx.Client(
        base_url=f"{served['url']}/api/v1", headers={"Authorization": served["token"]}, timeout=60
    ) as http:
        fields = {"name": name, "content_type": "application/octet-stream", "size": len(FILE)}
        upload = http.post(f"/projects/{served['project']['id']}/uploads", json=fields)
        assert upload.status_code == 201
        path = f"/uploads/{upload.json()['id']}"
        for number, start in enumerate(range(0, len(FILE), CHUNK_BYTES), 1):
            chunk = FILE[start : start + CHUNK_BYTES]
            report = {"number": number, "size": len(chunk), "hash": {"value": md5(chunk), "algorithm": "md5"}}
            target = http.put(f"{path}/chunks", json=report).json()
            sent = b"\xff" + chunk[1:] if corrupt and number == 2 else chunk
            stored = httpx.put(target["host"] + target["url"], content=sent, timeout=60)
            assert stored.status_code == 201
        done = http.put(f"{path}/complete", json={"hash": {"value": md5(FILE), "algorithm": "md5"}})
        assert done.status_code == 202
        assert done.json()["status"]["completed_on"]


def row_has(text: str, glyph: str, name: str) -> bool:
    """True if the table has a row with this stage's glyph and this name."""
    return re.search(rf"{glyph} +{re.escape(name)} .*MiB", text) is not None


def test_watch_shows_real_uploads(served: dict[str, Any]) -> None:
    environment = {"UPLOAD_TUI_TOKEN": served["token"]}
    with Terminal(
        "watch", "--url", served["url"], "--project", served["project"]["name"], environment=environment
    ) as terminal:
        terminal.wait_until(lambda text: "Uploads 0" in text and "live" in text)
        send(served, "sound.bin")
        send(served, "broken.bin", corrupt=True)
        terminal.wait_until(lambda text: row_has(text, "●", "sound.bin") and row_has(text, "✗", "broken.bin"))
        terminal.press("4")  # only errors, so that the broken one is under the cursor
        terminal.wait_until(lambda text: "Uploads 1" in text and "reported chunk hash does not match" in text)
        assert row_has(terminal.text, "✗", "broken.bin")
        assert "bad chunk hash: chunk 2" in terminal.text
        terminal.press("q")
        assert terminal.wait_for_end() == 0


def test_watch_accepts_keys_instead_of_a_token(served: dict[str, Any]) -> None:
    environment = {"UPLOAD_TUI_AGENT_KEY": served["agent_key"], "UPLOAD_TUI_USER_KEY": served["user_key"]}
    with Terminal("watch", "--url", f"{served['url']}/api/v1/", environment=environment) as terminal:
        terminal.wait_until(lambda text: "live" in text and served["project"]["name"] in text)
        terminal.press("q")
        assert terminal.wait_for_end() == 0

"""A service that always gives the same responses, and after each reading of the first page those of ten seconds later."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from upload_tui.testing import a_chunk, an_upload, sample_uploads
from upload_tui.wire import StatusShape

__all__ = ["DISTINCT_UPLOADS", "ScriptedService", "changing_uploads", "initial_uploads", "serve"]

Upload = Mapping[str, Any]
Response = tuple[int, Mapping[str, Any], Mapping[str, str]]

DISTINCT_UPLOADS = 12
_STEP_SECONDS = 10
_API_PATH = "/api/v1"


def initial_uploads() -> list[Upload]:
    """Uploads in all status shapes and stages, with anomalies and control characters, and the kit's samples after them."""
    sizes = [a_chunk(1, 1000), a_chunk(2, 1000), a_chunk(3, 7), a_chunk(4, 1000)]
    return [
        an_upload("growing.bin", initiated=20, chunks=(1,)),
        an_upload("sent.bin", initiated=50, completed=5),
        an_upload("option-b.bin", initiated=300, completed=280, verified=270, status_shape=StatusShape.B),
        an_upload(
            "option-b-failed.bin", initiated=320, completed=300, error=290, message="lost", status_shape=StatusShape.B
        ),
        an_upload("deployed.bin", initiated=400, completed=380, verified=370, status_shape=StatusShape.DEPLOYED),
        an_upload("deployed-pending.bin", initiated=410, completed=390, status_shape=StatusShape.DEPLOYED),
        an_upload("half.bin", completed=30, verified=20, chunks=(1, 3, 4), status_shape=StatusShape.DEPLOYED),
        an_upload("purged.bin", completed=30, verified=20, purged=10, chunks=(), status_shape=StatusShape.DEPLOYED),
        an_upload("sizes.bin", completed=60, verified=50, chunks=sizes, size_bytes=3007),
        an_upload("whole.bin", chunks=None),
        an_upload(
            'hostile "\x1b[31m\u202e, name"\n.csv', initiated=500, completed=470, error=460, message='a "b", c\nd'
        ),
        an_upload("été–雪.tiff", initiated=600, completed=560, verified=555),
        *sample_uploads(),
    ]


def changing_uploads() -> Iterator[list[Upload]]:
    """The uploads at each step: one is new, one passes several stages, one fails, one is purged, one is gone.

    Times are in seconds before `NOW`, so those after it are negative. All fit on one page of new uploads, so that the client
    sends one request at a time.
    """
    known = initial_uploads()[:DISTINCT_UPLOADS]
    yield known
    yield [an_upload("new.bin", initiated=-5, chunks=()), *known]
    passing = an_upload("jumped.bin", initiated=-13, completed=-15, verified=-18)
    yield [passing, an_upload("new.bin", initiated=-5, completed=-17), *known]
    failed = an_upload("new.bin", initiated=-5, completed=-17, error=-25, message="reported size does not match")
    known = _replaced(known, an_upload("sent.bin", initiated=50, completed=5, verified=-22, chunks=(1, 2, 4)))
    yield [passing, failed, *known]
    purged = an_upload(
        "deployed-pending.bin",
        initiated=410,
        completed=390,
        verified=-31,
        purged=-33,
        chunks=(),
        status_shape=StatusShape.DEPLOYED,
    )
    known = _replaced(known, purged)
    yield [passing, failed, *known]
    yield [passing, failed, *(upload for upload in known if upload["name"] != "growing.bin")]


def _replaced(uploads: Sequence[Upload], changed: Upload) -> list[Upload]:
    return [changed if upload["id"] == changed["id"] else upload for upload in uploads]


class ScriptedService:
    """The responses of a service.

    Args:
        steps: the uploads at each step, newest first; the first page is read at the first step, then at the next, until the last.
        clock_file: gets the seconds since the first step.
    """

    def __init__(self, steps: Sequence[Sequence[Upload]], clock_file: Path) -> None:
        self._steps = steps
        self._step = -1
        self._clock_file = clock_file
        self._lock = Lock()
        self._set_time(0)

    def respond(self, target: str) -> Response:
        """The status, the body and the headers of a response to `GET target`."""
        with self._lock:
            url = urlsplit(target)
            path = url.path.removeprefix(_API_PATH)
            if path == "/projects":
                return 200, {"results": [{"id": "p-1", "name": "Genome"}]}, {"X-Total": "1", "X-Per-Page": "100"}
            if path == "/projects/p-1/uploads":
                query = parse_qs(url.query)
                return self._page(int(query["page"][0]), int(query["per_page"][0]))
            found = [upload for upload in self._uploads if path == f"/uploads/{upload['id']}"]
            if found:
                return 200, found[0], {}
            return 404, {"error": 404, "code": "not_provided", "reason": "Upload Not Found", "suggestion": ""}, {}

    @property
    def _uploads(self) -> Sequence[Upload]:
        return self._steps[max(self._step, 0)]

    def _page(self, page: int, per_page: int) -> Response:
        if page == 1 and self._step < len(self._steps) - 1:
            self._step += 1
            self._set_time(_STEP_SECONDS * self._step)
        last = page * per_page
        headers = {
            "X-Total": str(len(self._uploads)),
            "X-Per-Page": str(per_page),
            "X-Next-Page": str(page + 1) if last < len(self._uploads) else "",
        }
        return 200, {"results": self._uploads[last - per_page : last]}, headers

    def _set_time(self, seconds: int) -> None:
        part = self._clock_file.with_suffix(".part")
        part.write_text(str(seconds), encoding="utf-8")
        part.replace(self._clock_file)


@contextmanager
def serve(service: ScriptedService) -> Iterator[str]:
    """Serve on a free port; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, fields, headers = service.respond(self.path)
            body = json.dumps(fields).encode()
            self.send_response_only(status)  # without a date, so that the client uses its own clock
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=[0.02])  # seconds until it notices `shutdown`
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()

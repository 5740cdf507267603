"""Serves a stream of uploads: `python -m tests.benchmarks.programs.stream UPLOADS_PER_SECOND`; prints its URL."""

import socket
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.benchmarks.stream_service import Stream
from tests.benchmarks.uploads import PROJECT

PAST_SECONDS = 10.0


def service(stream: Stream) -> Starlette:
    """The part of the contract that a dashboard uses."""

    async def uploads(request: Request) -> Response:
        headers, body = stream.page(int(request.query_params["page"]), int(request.query_params["per_page"]))
        return Response(body, headers=headers, media_type="application/json")

    async def upload(request: Request) -> Response:
        return Response(stream.one(request.path_params["id"]), media_type="application/json")

    async def projects(_: Request) -> Response:
        return JSONResponse({"results": [{"id": PROJECT.id, "name": PROJECT.name}]}, headers={"X-Total": "1"})

    return Starlette(
        routes=[
            Route("/api/v1/projects", projects),
            Route("/api/v1/projects/{project}/uploads", uploads),
            Route("/api/v1/uploads/{id}", upload),
        ]
    )


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    app = service(Stream(float(sys.argv[1]), PAST_SECONDS))
    uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])

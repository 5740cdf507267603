"""Storage providers and the verification queue, for operators."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from pydantic import with_config
from starlette.responses import Response
from typing_extensions import TypedDict

from upload_tui.backend.api_errors import not_found
from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.endpoint import Call, Endpoint, json_response, page_response
from upload_tui.backend.request_models import Paging
from upload_tui.backend.schemas import CLOSED, ProviderSchema, ReferenceSchema, Time
from upload_tui.backend.serializers import PROVIDER
from upload_tui.backend.store.records import UNKNOWN_QUEUE, PostponedJob
from upload_tui.wire import API_PATH, format_time

__all__ = ["OperationEndpoints"]

_TROUBLES_SHOWN = 20

Result = TypeVar("Result")


@with_config(CLOSED)
class JobTroubleSchema(TypedDict):
    """A verification that was postponed: after how many attempts, why, and when it is due; `due` null means that it was given up."""

    upload: ReferenceSchema
    attempts: int
    reason: str
    due: Time | None


@with_config(CLOSED)
class QueueSchema(TypedDict):
    """The verification queue: jobs waiting, when the oldest was queued, jobs running, retried, given up.

    `troubles` are the first of the retried and given-up jobs. `trouble` is why no job can be verified at all, or why jobs cannot be
    counted; numbers that are not known are null.
    """

    depth: int | None
    oldest: Time | None
    running: int | None
    retried: int | None
    dead: int | None
    trouble: str | None
    troubles: list[JobTroubleSchema]


class OperationEndpoints:
    """The endpoints of storage and queue."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the endpoints."""
        path = f"{API_PATH}/storage_providers"
        return (
            Endpoint("GET", path, self.list_providers, ProviderSchema, query=Paging),
            Endpoint("GET", f"{path}/{{id}}", self.show_provider, ProviderSchema),
            Endpoint("GET", f"{API_PATH}/queue", self.show_queue, QueueSchema),
        )

    async def list_providers(self, call: Call[Paging]) -> Response:
        """List the storage providers; there is one."""
        return page_response([PROVIDER] if call.parameters.page == 1 else [], 1, call.parameters)

    async def show_provider(self, call: Call[None]) -> Response:
        """Show a storage provider."""
        if call.id != PROVIDER["id"]:
            raise not_found("StorageProvider")
        return json_response(PROVIDER)

    async def show_queue(self, _: Call[None]) -> Response:
        """Show the verification queue."""
        queue = self._context.database.queue
        counts, counting_trouble = _read(queue.summary, UNKNOWN_QUEUE)
        troubles, listing_trouble = _read(partial(queue.troubles, _TROUBLES_SHOWN), list[PostponedJob]())
        written: QueueSchema = {
            "depth": counts.depth,
            "oldest": format_time(counts.oldest_on) if counts.oldest_on else None,
            "running": counts.running,
            "retried": counts.retried,
            "dead": counts.dead,
            "trouble": self._context.worker.trouble or counting_trouble or listing_trouble,
            "troubles": [
                {
                    "upload": {"id": job.upload_id},
                    "attempts": job.attempts,
                    "reason": job.reason,
                    "due": format_time(job.due_on) if job.due_on else None,
                }
                for job in troubles
            ],
        }
        return json_response(written)


def _read(read: Callable[[], Result], otherwise: Result) -> tuple[Result, str | None]:
    """Read a part of the queue; return it and None, or `otherwise` and the reason why it cannot be read."""
    try:
        return read(), None
    except sqlite3.Error as error:
        return otherwise, f"database error: {error}"

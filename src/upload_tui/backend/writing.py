"""Records as the service's resources."""

from collections.abc import Sequence

from upload_tui.backend.accounts import DemoAccount
from upload_tui.backend.database import ChunkRecord, ProjectRecord, UploadRecord
from upload_tui.status import Stage
from upload_tui.wire.designs import Design
from upload_tui.wire.resources import AuditResource, UploadResource, UserResource
from upload_tui.wire.status_shapes import write_status
from upload_tui.wire.times import format_time

__all__ = ["PROVIDER", "write_project", "write_upload", "write_user"]

PROVIDER = {
    "id": "5d0b4f1e-6a3c-4b9e-8f3a-0d6f5a1c2b7e",
    "name": "embedded",
    "description": "Embedded storage",
    "chunk_hash_algorithm": "md5",
    "chunk_max_number": 1000,
    "chunk_max_size_bytes": 5368709120,
    "is_default": True,
    "is_deprecated": False,
}
"""The one storage provider, as `GET /storage_providers` lists it."""


def write_user(account: DemoAccount) -> UserResource:
    """An account as it stands in audits."""
    return {"id": account.id, "username": account.username, "full_name": account.full_name}


def write_project(project: ProjectRecord, account: DemoAccount) -> dict[str, object]:
    """A project."""
    return {
        "kind": "dds-project",
        "id": project.id,
        "name": project.name,
        "description": project.description,
        "is_deleted": False,
        "audit": {
            "created_on": format_time(project.created_on),
            "created_by": write_user(account),
            "last_updated_on": None,
            "last_updated_by": None,
            "deleted_on": None,
            "deleted_by": None,
        },
    }


def write_upload(
    record: UploadRecord,
    chunks: Sequence[ChunkRecord],
    hashes: Sequence[tuple[str, str]],
    account: DemoAccount,
    design: Design,
) -> UploadResource:
    """An upload, its status in the shape of a design; chunks newest first."""
    return {
        "id": record.id,
        "project": {"id": record.project_id, "name": record.project_name},
        "name": record.name,
        "content_type": record.content_type,
        "size": record.size_bytes,
        "etag": f"{record.updated_on.timestamp():.3f}",
        "storage_container": record.project_id,
        "storage_provider": {key: PROVIDER[key] for key in ("id", "name", "description")},  # type: ignore[typeddict-item]
        "hashes": [
            {"algorithm": algorithm, "value": digest, "audit": _audit(record, account)} for algorithm, digest in hashes
        ],
        "chunks": [
            {
                "number": chunk.number,
                "size": chunk.size_bytes,
                "hash": {"value": chunk.digest, "algorithm": chunk.algorithm},
            }
            for chunk in reversed(chunks)
        ],
        "status": write_status(record.timeline, design),
        "audit": _audit(record, account),
    }


def _audit(record: UploadRecord, account: DemoAccount) -> AuditResource:
    initiated = record.timeline.event(Stage.INITIATED)
    user = write_user(account)
    return {
        "created_on": format_time(initiated.on) if initiated and initiated.on else None,
        "created_by": user,
        "last_updated_on": format_time(record.updated_on),
        "last_updated_by": user,
        "deleted_on": None,
        "deleted_by": None,
    }

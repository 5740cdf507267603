"""Turns records into response types."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from upload_tui.backend.auth import DemoAccount
from upload_tui.backend.schemas import (
    AncestorSchema,
    AuditSchema,
    AuthRoleSchema,
    ChildSchema,
    ContainerSchema,
    CurrentVersionSchema,
    FileSchema,
    FolderSchema,
    HashSchema,
    PermissionSchema,
    ProjectFileSchema,
    ProjectSchema,
    ProviderBriefSchema,
    ProviderSchema,
    SignedUrlSchema,
    UploadBriefSchema,
    UploadSchema,
    UserBriefSchema,
    UserSchema,
    VersionSchema,
)
from upload_tui.backend.store.records import (
    AncestorRecord,
    ChunkRecord,
    NodeKind,
    NodeRecord,
    ProjectRecord,
    UploadRecord,
    VersionRecord,
)
from upload_tui.backend.verification import Hashes
from upload_tui.status import Stage
from upload_tui.wire import StatusShape, format_time, write_status

__all__ = ["FILE_KIND", "FOLDER_KIND", "PROJECT_KIND", "PROVIDER", "ResourceSerializer", "without_fields"]

PROJECT_KIND = "dds-project"
FOLDER_KIND = "dds-folder"
FILE_KIND = "dds-file"

PROVIDER: ProviderSchema = {
    "id": "5d0b4f1e-6a3c-4b9e-8f3a-0d6f5a1c2b7e",
    "name": "embedded",
    "description": "Embedded storage",
    "chunk_hash_algorithm": "md5",
    "chunk_max_number": 1000,
    "chunk_max_size_bytes": 5368709120,
    "is_default": True,
    "is_deprecated": False,
}
"""The only storage provider, as `GET /storage_providers` lists it."""

_PROVIDER_BRIEF: ProviderBriefSchema = {
    "id": PROVIDER["id"],
    "name": PROVIDER["name"],
    "description": PROVIDER["description"],
}


class ResourceSerializer:
    """Serializes records. The user in every audit is the service's only account."""

    def __init__(self, account: DemoAccount) -> None:
        self._account = account

    # Accounts

    def user(self) -> UserSchema:
        """Serialize the account."""
        first_name, _, last_name = self._account.full_name.partition(" ")
        return {
            "id": self._account.id,
            "username": self._account.username,
            "full_name": self._account.full_name,
            "first_name": first_name,
            "last_name": last_name,
            "email": self._account.email,
        }

    def permission(self, project_id: str, role: AuthRoleSchema) -> PermissionSchema:
        """Serialize the account's role in a project."""
        return {"project": {"id": project_id}, "user": self._user_brief(), "auth_role": role}

    def _user_brief(self) -> UserBriefSchema:
        return {
            "id": self._account.id,
            "username": self._account.username,
            "full_name": self._account.full_name,
        }

    def _audit(self, created_on: datetime | None, updated_on: datetime | None) -> AuditSchema:
        user = self._user_brief()
        return {
            "created_on": format_time(created_on) if created_on else None,
            "created_by": user,
            "last_updated_on": format_time(updated_on) if updated_on else None,
            "last_updated_by": user if updated_on else None,
            "deleted_on": None,
            "deleted_by": None,
        }

    # Projects and uploads

    def project(self, project: ProjectRecord) -> ProjectSchema:
        """Serialize a project."""
        return {
            "kind": "dds-project",
            "id": project.id,
            "name": project.name,
            "description": project.description,
            "is_deleted": False,
            "audit": self._audit(project.created_on, project.updated_on),
        }

    def upload(
        self,
        record: UploadRecord,
        chunks: Sequence[ChunkRecord],
        hashes: Hashes,
        status_shape: StatusShape,
        signed_url: SignedUrlSchema | None = None,
    ) -> UploadSchema:
        """Serialize an upload, its chunks in descending order. `signed_url` is for an upload that is not chunked."""
        audit = self._upload_audit(record)
        written: dict[str, Any] = {
            "id": record.id,
            "project": {"id": record.project_id, "name": record.project_name},
            "name": record.name,
            "content_type": record.content_type,
            "size": record.size_bytes,
            "etag": f"{record.updated_on.timestamp():.3f}",
            "storage_container": record.project_id,
            "storage_provider": _PROVIDER_BRIEF,
            "hashes": _hashes(hashes, audit),
        }
        if record.is_chunked:
            written["chunks"] = [
                {
                    "number": chunk.number,
                    "size": chunk.size_bytes,
                    "hash": {"value": chunk.digest, "algorithm": chunk.algorithm},
                }
                for chunk in reversed(() if _are_chunks_gone(record, status_shape) else chunks)
            ]
        elif signed_url is not None:
            written["signed_url"] = signed_url
        written["status"] = write_status(record.timeline, status_shape)
        written["audit"] = audit
        return cast("UploadSchema", written)

    def _upload_audit(self, record: UploadRecord) -> AuditSchema:
        initiated = record.timeline.event(Stage.INITIATED)
        return self._audit(initiated.on if initiated else None, record.updated_on)

    def _upload_brief(self, record: UploadRecord, hashes: Hashes) -> UploadBriefSchema:
        return {
            "id": record.id,
            "size": record.size_bytes,
            "storage_provider": _PROVIDER_BRIEF,
            "hashes": _hashes(hashes, self._upload_audit(record)),
        }

    # Folders and files

    def folder(self, node: NodeRecord, project: ProjectRecord, ancestors: Sequence[AncestorRecord]) -> FolderSchema:
        """Serialize a folder."""
        return cast("FolderSchema", self._node(node, project, ancestors))

    def file(
        self,
        node: NodeRecord,
        project: ProjectRecord,
        ancestors: Sequence[AncestorRecord],
        version: VersionRecord,
        upload: UploadRecord,
        hashes: Hashes,
    ) -> FileSchema:
        """Serialize a file and its newest version."""
        current: CurrentVersionSchema = {
            "id": version.id,
            "version": version.number,
            "label": version.label or None,
            "upload": self._upload_brief(upload, hashes),
        }
        return cast("FileSchema", {**self._node(node, project, ancestors), "current_version": current})

    def _node(
        self, node: NodeRecord, project: ProjectRecord, ancestors: Sequence[AncestorRecord]
    ) -> Mapping[str, object]:
        return {
            "kind": FOLDER_KIND if node.kind is NodeKind.FOLDER else FILE_KIND,
            "id": node.id,
            "parent": _parent(node),
            "name": node.name,
            "is_deleted": False,
            "audit": self._audit(node.created_on, node.updated_on),
            "project": {"id": node.project_id},
            "ancestors": _ancestors(project, ancestors),
        }

    def version(self, version: VersionRecord, upload: UploadRecord, hashes: Hashes) -> VersionSchema:
        """Serialize one version of a file."""
        return {
            "kind": "dds-file-version",
            "id": version.id,
            "file": {"id": version.file_id},
            "version": version.number,
            "label": version.label or None,
            "is_deleted": False,
            "upload": self._upload_brief(upload, hashes),
            "audit": self._audit(version.created_on, None),
        }

    def project_file(
        self,
        node: NodeRecord,
        project: ProjectRecord,
        ancestors: Sequence[AncestorRecord],
        upload: UploadRecord,
        hashes: Hashes,
        file_url: SignedUrlSchema,
    ) -> ProjectFileSchema:
        """Serialize a file with everything that a download needs."""
        return {
            "kind": "dds-file",
            "id": node.id,
            "name": node.name,
            "size": upload.size_bytes,
            "hashes": _hashes(hashes, self._upload_audit(upload)),
            "file_url": file_url,
            "ancestors": _ancestors(project, ancestors),
        }


def without_fields(child: ChildSchema, fields: Sequence[str]) -> Mapping[str, object]:
    """Remove optional fields from an entry; those that identify it stay."""
    optional = {"audit", "project", "ancestors", "current_version"} & set(fields)
    return {key: value for key, value in child.items() if key not in optional}


def _hashes(hashes: Hashes, audit: AuditSchema) -> list[HashSchema]:
    return [{"algorithm": algorithm, "value": digest, "audit": audit} for algorithm, digest in hashes]


def _are_chunks_gone(record: UploadRecord, status_shape: StatusShape) -> bool:
    """Whether a purge removed the chunks; a shape that cannot show it keeps them, or they would seem to be missing."""
    return record.is_purged and status_shape is StatusShape.DEPLOYED


def _parent(node: NodeRecord) -> ContainerSchema:
    if node.parent_id is None:
        return {"kind": "dds-project", "id": node.project_id}
    return {"kind": "dds-folder", "id": node.parent_id}


def _ancestors(project: ProjectRecord, ancestors: Sequence[AncestorRecord]) -> list[AncestorSchema]:
    folders: list[AncestorSchema] = [
        {"kind": "dds-folder", "id": folder.id, "name": folder.name} for folder in ancestors
    ]
    return [{"kind": "dds-project", "id": project.id, "name": project.name}, *folders]

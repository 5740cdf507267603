"""Records as the service's resources."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from upload_tui.backend.accounts import DemoAccount
from upload_tui.backend.records import (
    AncestorRecord,
    ChunkRecord,
    NodeKind,
    NodeRecord,
    ProjectRecord,
    UploadRecord,
    VersionRecord,
)
from upload_tui.backend.resources import (
    AncestorWritten,
    AuditWritten,
    AuthRoleWritten,
    ChildWritten,
    ContainerWritten,
    CurrentVersionWritten,
    FileWritten,
    FolderWritten,
    HashWritten,
    PermissionWritten,
    ProjectFileWritten,
    ProjectWritten,
    ProviderBriefWritten,
    ProviderWritten,
    SignedUrlWritten,
    UploadBriefWritten,
    UploadWritten,
    UserBriefWritten,
    UserWritten,
    VersionWritten,
)
from upload_tui.backend.verification import Hashes
from upload_tui.status import Stage
from upload_tui.wire.designs import Design
from upload_tui.wire.status_shapes import write_status
from upload_tui.wire.times import format_time

__all__ = ["FILE_KIND", "FOLDER_KIND", "PROJECT_KIND", "PROVIDER", "Writer", "without"]

PROJECT_KIND = "dds-project"
FOLDER_KIND = "dds-folder"
FILE_KIND = "dds-file"

PROVIDER: ProviderWritten = {
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

_PROVIDER_BRIEF: ProviderBriefWritten = {
    "id": PROVIDER["id"],
    "name": PROVIDER["name"],
    "description": PROVIDER["description"],
}


class Writer:
    """Writes what one account sees: there is no other that could have made anything."""

    def __init__(self, account: DemoAccount) -> None:
        self._account = account

    # Accounts

    def user(self) -> UserWritten:
        """The account."""
        first_name, _, last_name = self._account.full_name.partition(" ")
        return {
            "id": self._account.id,
            "username": self._account.username,
            "full_name": self._account.full_name,
            "first_name": first_name,
            "last_name": last_name,
            "email": self._account.email,
        }

    def permission(self, project_id: str, role: AuthRoleWritten) -> PermissionWritten:
        """The account's role in a project."""
        return {"project": {"id": project_id}, "user": self._user_brief(), "auth_role": role}

    def _user_brief(self) -> UserBriefWritten:
        return {
            "id": self._account.id,
            "username": self._account.username,
            "full_name": self._account.full_name,
        }

    def _audit(self, created_on: datetime | None, updated_on: datetime | None) -> AuditWritten:
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

    def project(self, project: ProjectRecord) -> ProjectWritten:
        """A project."""
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
        design: Design,
        signed_url: SignedUrlWritten | None = None,
    ) -> UploadWritten:
        """An upload, its status in the shape of a design; chunks newest first. `signed_url` takes all bytes of one not chunked."""
        written: dict[str, Any] = {
            "id": record.id,
            "project": {"id": record.project_id, "name": record.project_name},
            "name": record.name,
            "content_type": record.content_type,
            "size": record.size_bytes,
            "etag": f"{record.updated_on.timestamp():.3f}",
            "storage_container": record.project_id,
            "storage_provider": _PROVIDER_BRIEF,
            "hashes": self._hashes(record, hashes),
        }
        if record.is_chunked:
            written["chunks"] = [
                {
                    "number": chunk.number,
                    "size": chunk.size_bytes,
                    "hash": {"value": chunk.digest, "algorithm": chunk.algorithm},
                }
                for chunk in reversed(chunks)
            ]
        elif signed_url is not None:
            written["signed_url"] = signed_url
        written["status"] = write_status(record.timeline, design)
        written["audit"] = self._upload_audit(record)
        return cast("UploadWritten", written)

    def _upload_audit(self, record: UploadRecord) -> AuditWritten:
        initiated = record.timeline.event(Stage.INITIATED)
        return self._audit(initiated.on if initiated else None, record.updated_on)

    def _hashes(self, record: UploadRecord, hashes: Hashes) -> list[HashWritten]:
        audit = self._upload_audit(record)
        return [{"algorithm": algorithm, "value": digest, "audit": audit} for algorithm, digest in hashes]

    def _upload_brief(self, record: UploadRecord, hashes: Hashes) -> UploadBriefWritten:
        return {
            "id": record.id,
            "size": record.size_bytes,
            "storage_provider": _PROVIDER_BRIEF,
            "hashes": self._hashes(record, hashes),
        }

    # Folders and files

    def folder(self, node: NodeRecord, project: ProjectRecord, above: Sequence[AncestorRecord]) -> FolderWritten:
        """A folder."""
        return cast("FolderWritten", self._node(node, project, above))

    def file(
        self,
        node: NodeRecord,
        project: ProjectRecord,
        above: Sequence[AncestorRecord],
        version: VersionRecord,
        upload: UploadRecord,
        hashes: Hashes,
    ) -> FileWritten:
        """A file and its newest version."""
        current: CurrentVersionWritten = {
            "id": version.id,
            "version": version.number,
            "label": version.label or None,
            "upload": self._upload_brief(upload, hashes),
        }
        return cast("FileWritten", {**self._node(node, project, above), "current_version": current})

    def _node(self, node: NodeRecord, project: ProjectRecord, above: Sequence[AncestorRecord]) -> Mapping[str, object]:
        return {
            "kind": FOLDER_KIND if node.kind is NodeKind.FOLDER else FILE_KIND,
            "id": node.id,
            "parent": _parent(node),
            "name": node.name,
            "is_deleted": False,
            "audit": self._audit(node.created_on, node.updated_on),
            "project": {"id": node.project_id},
            "ancestors": _ancestors(project, above),
        }

    def version(self, version: VersionRecord, upload: UploadRecord, hashes: Hashes) -> VersionWritten:
        """One version of a file."""
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
        above: Sequence[AncestorRecord],
        upload: UploadRecord,
        hashes: Hashes,
        file_url: SignedUrlWritten,
    ) -> ProjectFileWritten:
        """A file with all that a download needs."""
        return {
            "kind": "dds-file",
            "id": node.id,
            "name": node.name,
            "size": upload.size_bytes,
            "hashes": self._hashes(upload, hashes),
            "file_url": file_url,
            "ancestors": _ancestors(project, above),
        }


def without(child: ChildWritten, fields: Sequence[str]) -> Mapping[str, object]:
    """A child without some of what can be left out; what identifies it stays."""
    optional = {"audit", "project", "ancestors", "current_version"} & set(fields)
    return {key: value for key, value in child.items() if key not in optional}


def _parent(node: NodeRecord) -> ContainerWritten:
    if node.parent_id is None:
        return {"kind": "dds-project", "id": node.project_id}
    return {"kind": "dds-folder", "id": node.parent_id}


def _ancestors(project: ProjectRecord, above: Sequence[AncestorRecord]) -> list[AncestorWritten]:
    folders: list[AncestorWritten] = [{"kind": "dds-folder", "id": folder.id, "name": folder.name} for folder in above]
    return [{"kind": "dds-project", "id": project.id, "name": project.name}, *folders]

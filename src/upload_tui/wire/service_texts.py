"""The fixed texts of the service: error codes, reasons and integrity messages, verbatim."""

__all__ = [
    "CHUNK_HASH_DIFFERS",
    "CODE_NOT_CONSISTENT",
    "CODE_NOT_PROVIDED",
    "FILE_HASH_DIFFERS",
    "INTEGRITY_MESSAGES",
    "OBJECT_MISSING",
    "SIZE_DIFFERS",
    "STATUS_SHAPE_HEADER",
]

CODE_NOT_PROVIDED = "not_provided"
CODE_NOT_CONSISTENT = "resource_not_consistent"

CHUNK_HASH_DIFFERS = "reported chunk hash does not match that computed by StorageProvider"
SIZE_DIFFERS = "reported size does not match size computed by StorageProvider"
FILE_HASH_DIFFERS = "reported hash value does not match size computed by StorageProvider"
"""Sic ("size"): a published client matches this exact text."""
OBJECT_MISSING = "NonChunkedUpload not found in object store"

INTEGRITY_MESSAGES = (CHUNK_HASH_DIFFERS, SIZE_DIFFERS, FILE_HASH_DIFFERS, OBJECT_MISSING)
"""All messages of the deployed service for a failed integrity check; each may be followed by `: ` and details."""

STATUS_SHAPE_HEADER = "X-Status-Design"
"""A request header of the embedded service: the status shape of this one response."""

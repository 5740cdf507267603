"""The service's fixed words: error codes, reasons and integrity messages, letter by letter as it says them."""

__all__ = [
    "CHUNK_HASH_DIFFERS",
    "CODE_NOT_CONSISTENT",
    "CODE_NOT_PROVIDED",
    "STATUS_SHAPE_HEADER",
    "FILE_HASH_DIFFERS",
    "INTEGRITY_MESSAGES",
    "OBJECT_MISSING",
    "SIZE_DIFFERS",
]

CODE_NOT_PROVIDED = "not_provided"
CODE_NOT_CONSISTENT = "resource_not_consistent"

CHUNK_HASH_DIFFERS = "reported chunk hash does not match that computed by StorageProvider"
SIZE_DIFFERS = "reported size does not match size computed by StorageProvider"
FILE_HASH_DIFFERS = "reported hash value does not match size computed by StorageProvider"
"""Sic ("size"): a published client matches on these very words."""
OBJECT_MISSING = "NonChunkedUpload not found in object store"

INTEGRITY_MESSAGES = (CHUNK_HASH_DIFFERS, SIZE_DIFFERS, FILE_HASH_DIFFERS, OBJECT_MISSING)
"""All that the deployed service says of an upload that is not what its client meant."""

STATUS_SHAPE_HEADER = "X-Status-Design"
"""A request header of the embedded service: the shape of `status` wanted in this one answer."""

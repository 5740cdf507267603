"""The indexes and triggers that a bulk load drops, and builds at its end."""

from collections.abc import Mapping

__all__ = ["INDEXES", "TRIGGERS"]

INDEXES: Mapping[str, str] = {
    "by_since": "uploads (since_ms)",
    "by_name": "uploads (name)",
    "by_size": "uploads (size_bytes)",
    "by_completed": "uploads (completed_ms)",
    "by_cause": "uploads (cause, storage_provider, uploader, since_ms, id, partition) WHERE stage = 3",
    "by_uploader": "uploads (uploader)",
    "by_storage": "uploads (storage_provider)",
    "by_type": "uploads (content_type)",
    "by_failed": "uploads (partition, since_ms, cause, stage) WHERE stage = 3",  # counted for each frame with new data
    "by_partition_initiated": "uploads (partition, initiated_ms)",
    "by_partition_since": "uploads (partition, since_ms)",
    "by_partition_name": "uploads (partition, name)",
    "by_partition_size": "uploads (partition, size_bytes)",
    "by_buckets": "uploads (partition, upload_bucket, verify_bucket)",
    "by_partition_first_event": "uploads (partition, first_event_ms)",
}
"""In the order in which migrations create them, since SQLite takes the last of those that serve a query equally well.

Building them after a bulk load takes a fraction of the time that it takes to keep them up to date.
"""

_TEXT = (
    "CASE {0}.folded WHEN '' THEN {0}.name || char(10) || {0}.id || char(10) || {0}.error_message ELSE {0}.folded END"
)
"""What trigrams are made of; the view `searched` has the same."""
_OLD, _NEW = _TEXT.format("old"), _TEXT.format("new")

TRIGGERS: Mapping[str, str] = {
    "upload_inserted": f"""AFTER INSERT ON uploads BEGIN
        UPDATE partitions SET upload_count = upload_count + 1 WHERE partition = new.partition;
        INSERT INTO trigrams (rowid, text) VALUES (new.number, {_NEW});
    END""",
    "upload_moved": """AFTER UPDATE OF partition ON uploads WHEN old.partition <> new.partition BEGIN
        UPDATE partitions SET upload_count = upload_count - 1 WHERE partition = old.partition;
        UPDATE partitions SET upload_count = upload_count + 1 WHERE partition = new.partition;
    END""",
    "upload_text_changed": f"""AFTER UPDATE OF name, error_message ON uploads
        WHEN old.name <> new.name COLLATE BINARY OR old.error_message <> new.error_message BEGIN
        INSERT INTO trigrams (trigrams, rowid, text) VALUES ('delete', old.number, {_OLD});
        INSERT INTO trigrams (rowid, text) VALUES (new.number, {_NEW});
    END""",
    "upload_deleted": f"""AFTER DELETE ON uploads BEGIN
        UPDATE partitions SET upload_count = upload_count - 1 WHERE partition = old.partition;
        DELETE FROM raw_json WHERE number = old.number;
        INSERT INTO trigrams (trigrams, rowid, text) VALUES ('delete', old.number, {_OLD});
    END""",
}
"""Keep the counts of partitions and the trigrams up to date with every row."""

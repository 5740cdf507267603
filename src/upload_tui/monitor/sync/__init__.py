"""Keep the store equal to a service (scan, poll for new uploads, refresh pending ones, compare old pages in turn) or to a source.

`Synchroniser` is the entry point for a service, `SourceSynchroniser` for a source, and `ingest` for single readings. Knows no
session and no screen.
"""

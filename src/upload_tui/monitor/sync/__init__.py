"""Keep the store equal to the service: scan, poll for new uploads, refresh pending ones, compare old pages in turn.

`Synchroniser` is the entry point; the rest of the package is used by it alone, except `ingest`. Knows no session and no screen.
"""

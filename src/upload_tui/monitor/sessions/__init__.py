"""Sessions keep a picture current and publish changes: of a service, of a source, of several, or of what is not opened yet.

`Session` is the protocol that the dashboard is written against. Knows no screen.
"""

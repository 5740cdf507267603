"""Sessions keep a picture current and publish changes: of one service, several, one not yet connected, or in memory.

`Session` is the protocol that the dashboard is written against. Knows no screen.
"""

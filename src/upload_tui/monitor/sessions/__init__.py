"""Sessions: what keeps a picture current and publishes its changes, over one service, several, none yet, or in memory.

`Session` is the protocol that the dashboard is written against. Knows no screen.
"""

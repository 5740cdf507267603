"""The embedded service: the whole contract in one process, for demos, tests and clients under test.

Strangers to it are the client, the monitor and the dashboard; they meet only over HTTP.
"""

"""The SQLite store: one database per service and account, shared by all dashboards that open the same file.

`Store` is the entry point; `StoreAggregates` and `KnownUploads` run further queries on its database. Nothing here knows HTTP,
a session or a screen.
"""

"""Stories that the embedded service can be told: real clients that send real bytes over its own API, at a story's pace.

Nothing here writes to the database. The same seed tells the same story: names, sizes, order and outcomes. `catalogue` names them
and imports nothing; `registry` can tell them.
"""

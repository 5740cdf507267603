"""The service's tables, one module each: statements and nothing else. A table's object has the database's one connection."""

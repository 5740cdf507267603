"""The service's database in SQLite. A module for each table, over one connection; the statements allow legal transitions only."""

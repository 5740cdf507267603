"""The references: the least that a Textual app can do."""

"""The service or the source that the settings name: opening it, reading it, waiting for its uploads, and riding out its failures."""

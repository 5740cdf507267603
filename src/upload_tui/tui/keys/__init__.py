"""Key bindings: their definitions, how a key is written, the help text, and the registry of all binding ids."""

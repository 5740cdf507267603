"""The dashboard: paints what a session knows and passes on what a person wishes. Opens no socket, file or database."""

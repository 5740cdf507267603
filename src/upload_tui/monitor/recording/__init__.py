"""Recordings: write the changes of uploads to a file, replace the names and texts in it, and play it as a session."""

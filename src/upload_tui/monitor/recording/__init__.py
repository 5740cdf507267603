"""Recordings: a session's readings and changes as JSON lines; written by `recording_file`, replayed by `replay`."""

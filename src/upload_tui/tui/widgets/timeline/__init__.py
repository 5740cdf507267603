"""One upload: its timeline and its chunks."""

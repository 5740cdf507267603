"""The table of uploads: its rows, its cursor and the painting of its lines."""

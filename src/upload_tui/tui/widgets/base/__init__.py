"""Base classes of widgets that repaint only the lines that changed."""

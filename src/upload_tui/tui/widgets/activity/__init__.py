"""The activity pane: the pending uploads and the change log."""

"""Widgets that show facts and tell what a person did with them; none of them decides anything."""

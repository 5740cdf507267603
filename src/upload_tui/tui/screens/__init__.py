"""The screens and dialogs. Each shows a session or a part of it; it decides what a widget's message means and does no I/O."""

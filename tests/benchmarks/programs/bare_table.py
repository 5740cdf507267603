"""A bare Textual app with an empty table: the fastest possible start."""

from textual.app import App, ComposeResult
from textual.widgets import DataTable


class BareTable(App[None]):
    """An app with the table only."""

    def compose(self) -> ComposeResult:
        """Add the table."""
        yield DataTable()

    def on_mount(self) -> None:
        """Add a heading, which is the text of the first frame."""
        self.query_one(DataTable).add_columns("BareTable")


if __name__ == "__main__":
    BareTable().run()

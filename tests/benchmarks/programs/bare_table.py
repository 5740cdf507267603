"""A bare Textual app with an empty table: what nobody can be quicker than."""

from textual.app import App, ComposeResult
from textual.widgets import DataTable


class BareTable(App[None]):
    """Nothing but the table."""

    def compose(self) -> ComposeResult:
        """The table."""
        yield DataTable()

    def on_mount(self) -> None:
        """A heading to look for."""
        self.query_one(DataTable).add_columns("BareTable")


if __name__ == "__main__":
    BareTable().run()

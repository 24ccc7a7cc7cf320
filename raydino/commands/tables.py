"""Tables of a command's answer, on stdout (progress and messages go to stderr)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

_PIPED_WIDTH = 160  # columns where there is no terminal to ask


def print_table(title: str, sections: Iterable[Iterable[Sequence[str]]], headings: Sequence[str] = ()) -> None:
    """Print rows of text, a line between sections. Square brackets in them are text, not markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    parts = [[[Text(cell) for cell in row] for row in section] for section in sections]
    columns = len(headings) or max((len(row) for rows in parts for row in rows), default=1)
    table = Table(title=Text(title, style="bold"), title_justify="left", show_header=bool(headings))
    for index in range(columns):
        table.add_column(headings[index] if headings else "", overflow="fold", style="" if index else "bold")
    for rows in parts:
        for row in rows:
            table.add_row(*row)
        table.add_section()
    Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH).print(table)

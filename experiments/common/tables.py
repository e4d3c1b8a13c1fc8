"""Tables of results: aligned text that fits the terminal, CSV, LaTeX, HTML and data frames from the same rows."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from goalmaze.experiments.statistics.intervals import Rate

GAP = "  "
MIN_PROSE_WIDTH = 24
"""Narrowest column of prose before a table is cut into parts instead, in characters."""

Plain: TypeAlias = str | float | bool | None
"""What a cell is in CSV and data frames."""


@runtime_checkable
class Interval(Protocol):
    """An estimate with the ends of its interval, such as a rate over levels."""

    @property
    def value(self) -> float:
        """The estimate."""

    @property
    def low(self) -> float:
        """The lower end."""

    @property
    def high(self) -> float:
        """The upper end."""


@dataclasses.dataclass(frozen=True)
class Number:
    """A number in a cell: tables print its text, CSV and data frames hold its value.

    Attributes:
        value: the number; None where there is none.
        text: the number as it is printed.
    """

    value: float | None
    text: str

    def __str__(self) -> str:
        return self.text


def formatted(value: float | None, spec: str) -> Number:
    """Return a number as a cell, printed by a format specification such as ".3f"; None and NaN print as a dash."""
    if value is None or math.isnan(value):
        return Number(None, "-")
    return Number(value, format(value, spec))


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows under headers.

    Attributes:
        headers: the name of each column.
        rows: the cells. An `Interval` prints as value and interval and becomes three columns in CSV and data frames; a
            `Number` prints as its text and is its value there.
        title: one line above the table.

    Example:
        >>> import goalmaze as gm
        >>> print(gm.Table(["agent", "solved"], [["mine", 0.5]]).csv())
        agent,solved
        mine,0.5
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""

    def text(self, width: int | None = None) -> str:
        """Return the table aligned: numbers to the right, words to the left.

        A last column of prose is wrapped where the table is wider than `width` characters. A table that is too wide
        without one is cut into parts that each repeat the first column.
        """
        cells = [[str(cell) for cell in row] for row in (self.headers, *self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.headers))]
        left = [column == 0 or self._is_prose(column) for column in range(len(self.headers))]
        if width is not None and _total(widths) > width:
            # Numbers cannot be wrapped, prose can: the last column gets the space that the others leave.
            room = width - _total(widths[:-1]) - len(GAP)
            if len(widths) > 1 and left[-1] and room >= MIN_PROSE_WIDTH:
                widths[-1] = room
            else:
                return "\n\n".join([self.title] * bool(self.title) + self._parts(cells, widths, left, width))
        return "\n".join([self.title] * bool(self.title) + [_aligned(cells, widths, left)])

    def records(self) -> list[dict[str, Plain]]:
        """Return one dictionary per row; an interval gives three entries: NAME, "NAME low" and "NAME high"."""
        return [
            {
                name: value
                for header, cell in zip(self.headers, row, strict=True)
                for name, value in _plain(header, cell)
            }
            for row in self.rows
        ]

    def csv(self) -> str:
        """Return the table as comma-separated values, with a header line."""
        records = self.records()
        # A column can be an interval in one row and empty in another: the header holds the names of all rows.
        columns = list(dict.fromkeys(name for record in records for name in record)) or list(self.headers)
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        return text.getvalue()

    def latex(self) -> str:
        """Return the table as a LaTeX `tabular` of the package booktabs."""
        columns = "".join("l" if column == 0 or self._is_prose(column) else "r" for column in range(len(self.headers)))
        lines = [" & ".join(_escaped(str(cell)) for cell in row) + r" \\" for row in (self.headers, *self.rows)]
        body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
        comment = [f"% {self.title}"] if self.title else []
        return "\n".join([*comment, rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"]) + "\n"

    def markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [self.headers, ["---"] * len(self.headers), *self.rows]
        body = "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
        return f"{self.title}\n\n{body}\n" if self.title else body + "\n"

    def html(self) -> str:
        """Return the table as HTML."""
        head = "".join(f"<th>{html.escape(header)}</th>" for header in self.headers)
        rows = ["".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in self.rows]
        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _is_prose(self, column: int) -> bool:
        """Return whether a column holds words; empty cells and dashes do not count."""
        cells = [str(row[column]).strip() for row in self.rows]
        return any(cell and not (cell[0].isdigit() or cell[0] in "-+.<–—×%[(") and cell != "nan" for cell in cells)

    def _parts(self, cells: list[list[str]], widths: list[int], left: list[bool], width: int) -> list[str]:
        # Each part takes as many of the remaining columns as fit beside the first column, and one at least.
        parts, column = [], 1
        while column < len(widths):
            chosen = [0, column]
            column += 1
            while column < len(widths) and _total([widths[c] for c in (*chosen, column)]) <= width:
                chosen.append(column)
                column += 1
            part = [[row[c] for c in chosen] for row in cells]
            parts.append(_aligned(part, [widths[c] for c in chosen], [left[c] for c in chosen]))
        return parts


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return an aligned table of any width as text."""
    return Table(headers, rows).text()


def number(value: float, digits: int = 4) -> float | None:
    """Return a number for JSON, rounded; None where it is not a number, which JSON cannot express."""
    return None if math.isnan(value) else round(value, digits)


def interval(rate: Rate) -> dict[str, float | int | None]:
    """Return the ends of a rate's interval and its number of levels, for JSON."""
    return {"low": number(rate.low), "high": number(rate.high), "levels": rate.levels}


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _aligned(cells: Sequence[Sequence[str]], widths: Sequence[int], left: Sequence[bool]) -> str:
    """Return rows, the first of them headers, as lines; the last column is wrapped to its width."""
    lines = []
    for row in cells:
        wrapped = textwrap.wrap(row[-1], widths[-1], break_on_hyphens=False) if len(row[-1]) > widths[-1] else [row[-1]]
        padded = [
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip([*row[:-1], wrapped[0]], widths, left, strict=True)
        ]
        lines.append(GAP.join(padded).rstrip())
        indent = " " * (_total(widths) - widths[-1])
        lines += [indent + more for more in wrapped[1:]]
    return "\n".join([lines[0], GAP.join("─" * width for width in widths), *lines[1:]])


def _plain(header: str, cell: object) -> list[tuple[str, Plain]]:
    """Return the entries of a cell in a record; an empty cell or a dash is None, so that a column keeps its type."""
    # Rates, means over seeds and bootstrap intervals are three classes with these three attributes.
    if isinstance(cell, Interval):
        return [(header, cell.value), (f"{header} low", cell.low), (f"{header} high", cell.high)]
    if isinstance(cell, Number):
        return [(header, cell.value)]
    if cell is None or isinstance(cell, bool | int | float):
        return [(header, cell)]
    text = str(cell)
    return [(header, None if text in ("", "-") else text)]


LATEX_ESCAPES: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "—": "---",
    "×": r"$\times$",
    "<": r"$<$",
    ">": r"$>$",
} | {character: "\\" + character for character in "&%$#_{}"}


def _escaped(text: str) -> str:
    return "".join(LATEX_ESCAPES.get(character, character) for character in text)

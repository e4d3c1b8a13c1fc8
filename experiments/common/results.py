"""Results of commands and of the Python API: plain data for programs, paragraphs and tables for people."""

from __future__ import annotations

import abc
import dataclasses
import html
import importlib.util
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.tables import Table

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class ResultHeader:
    """What a result was measured on.

    Attributes:
        agent: its name.
        family: the family of the levels.
        size: rows and columns of the mazes, in cells.
        levels: number of held-out evaluation levels.
        seed: of the levels and of the sampled actions.
    """

    agent: str
    family: str
    size: int
    levels: int
    seed: int

    def json(self) -> JsonObject:
        """Return the header as plain data."""
        return dataclasses.asdict(self)


class Result(abc.ABC):
    """A result that prints in a terminal and a notebook and can be exported.

    A subclass gives `json` and `blocks`; text, HTML, CSV, LaTeX and data frames follow from them.

    Example:
        >>> import goalmaze as gm
        >>> agent = gm.load("zoo:green-exit")
        >>> result = gm.evaluate(agent, levels=8)
        >>> result.json()["levels"], isinstance(result, gm.Result)
        (8, True)
    """

    @abc.abstractmethod
    def json(self) -> JsonObject:
        """Return the result as plain data that `json.dumps` takes."""

    @abc.abstractmethod
    def blocks(self) -> Sequence[str | Table]:
        """Return paragraphs and tables in reading order."""

    def tables(self) -> list[Table]:
        """Return the tables alone."""
        return [block for block in self.blocks() if isinstance(block, Table)]

    def text(self, width: int | None = None) -> str:
        """Return the result for a person; lines hold at most `width` characters where it is given."""
        return "\n\n".join(_laid_out(block, width) for block in self.blocks())

    def __str__(self) -> str:
        return self.text()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print the result as text in IPython, where the repr of a dataclass would be shown."""
        printer.text(self.text())

    def _repr_html_(self) -> str:
        """Return the result for a notebook."""
        parts = [
            block.html() if isinstance(block, Table) else f"<p>{html.escape(block)}</p>" for block in self.blocks()
        ]
        return "".join(parts)

    def csv(self) -> str:
        """Return all tables as comma-separated values, separated by empty lines."""
        return "\n".join(table.csv() for table in self._some_tables())

    def latex(self) -> str:
        """Return all tables as LaTeX, separated by empty lines."""
        return "\n".join(table.latex() for table in self._some_tables())

    def markdown(self) -> str:
        """Return all tables as Markdown, separated by empty lines."""
        return "\n".join(table.markdown() for table in self._some_tables())

    def to_frame(self, table: int = 0) -> pandas.DataFrame:
        """Return one of the tables, the first by default, as a pandas data frame.

        Raises:
            GoalmazeError: pandas is not installed, or there is no such table.
        """
        tables = self._some_tables()
        if not 0 <= table < len(tables):
            raise GoalmazeError(f"table is {table}: this result has {len(tables)}, numbered from 0")
        # pandas is an extra: looked for first, so that an error inside pandas is not taken for its absence.
        if importlib.util.find_spec("pandas") is None:
            raise GoalmazeError("to_frame needs pandas; install it with: pip install 'goalmaze[pandas]'")
        import pandas

        return pandas.DataFrame.from_records(tables[table].records())

    def _some_tables(self) -> list[Table]:
        tables = self.tables()
        if not tables:
            raise GoalmazeError("this result has no table; use --json or .json()")
        return tables


def _laid_out(block: str | Table, width: int | None) -> str:
    if isinstance(block, Table):
        return block.text(width)
    if width is None:
        return block
    # Line by line, because paragraphs hold line breaks of their own. Names such as moved-sign stay in one piece.
    return "\n".join(textwrap.fill(line, width, break_on_hyphens=False) for line in block.splitlines())

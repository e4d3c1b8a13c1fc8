"""Sections and tables of a registration, a Markdown file that was committed before its experiment was run."""

from __future__ import annotations

from goalmaze.envs.errors import GoalmazeError


def section(text: str, heading: str) -> str:
    """Return what a Markdown text holds between a heading of the second level and the next one.

    Raises:
        GoalmazeError: there is no such heading.

    Example:
        >>> section("# Plan\\n\\n## Marks\\nat least 3\\n## Notes\\n", "Marks")
        'at least 3'
    """
    _, found, after = text.partition(f"\n## {heading}\n")
    if not found:
        raise GoalmazeError(f"the registration has no section '{heading}'; restore the file")
    return after.split("\n## ")[0].rstrip("\n")


def table_rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of each row of the table in a section, without the row of headers.

    Raises:
        GoalmazeError: there is no such section.

    Example:
        >>> table_rows("# Plan\\n\\n## Marks\\n| name | value |\\n|---|---|\\n| error | 0.1 |\\n", "Marks")
        [['error', '0.1']]
    """
    lines = [line for line in section(text, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines[2:]]

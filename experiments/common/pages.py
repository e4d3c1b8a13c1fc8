"""Tables in pages of the documentation, between ``<!-- NAME -->`` and ``<!-- end -->``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from goalmaze.experiments.common.tables import Table


def filled(page: str, name: str, blocks: Sequence[str | Table]) -> str:
    """Return a page in which the text between ``<!-- name -->`` and ``<!-- end -->`` is replaced.

    Args:
        page: Markdown; without the two comments it stays as it is.
        name: of the first comment.
        blocks: lines of text become a list, tables become sections.

    Example:
        >>> print(filled("<!-- rates -->\\nold\\n<!-- end -->", "rates", ["5 seeds"]))
        <!-- rates -->
        <BLANKLINE>
        - 5 seeds
        <BLANKLINE>
        <!-- end -->
    """
    text = "\n".join(map(_section, blocks))
    place = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    return place.sub(lambda found: f"{found[1]}\n{text}\n{found[2]}", page)


def _section(block: str | Table) -> str:
    if isinstance(block, str):
        return "".join(f"- {line}\n" for line in block.splitlines())
    heading = block.title[:1].upper() + block.title[1:]
    return f"### {heading}\n\n{Table(block.headers, block.rows).markdown()}"

"""Makes the navigation of every page from the titles of pages alone.

The theme shows a tree of titles on each page. Sphinx copies the contents of all pages for it, with every documented
object, and then removes all but the titles: 40 % of the time that a build takes. Here that is removed once.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

BEFORE_THEME = 400
"""The theme makes its navigation at the default priority, 500."""


def titles(contents: nodes.Element) -> nodes.Element:
    """Return the contents of a page without sections and objects, which a tree of titles leaves out.

    Args:
        contents: the list of the page's sections, of which each has a title and perhaps a list of what is below it.
    """
    pruned = contents.copy()
    for part in contents.children:
        if not isinstance(part, nodes.list_item) or len(part) < 2:
            pruned.append(part.deepcopy())
            continue
        section = part.copy()
        section.append(part[0].deepcopy())
        trees = [tree.deepcopy() for tree in part.findall(addnodes.toctree)]
        if trees:
            below = part[1].copy()
            below.extend(trees)
            section.append(below)
        pruned.append(section)
    return pruned


def _on_page(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    whole = context.get("toctree")
    if whole is None:
        return

    def toctree(**options: Any) -> str:
        if not options.get("titles_only"):
            return str(whole(**options))
        contents, app.env.tocs = app.env.tocs, _titles(app)
        try:
            return str(whole(**options))
        finally:
            app.env.tocs = contents

    context["toctree"] = toctree


@functools.cache
def _titles(app: Sphinx) -> dict[str, Any]:
    """Return the titles of all pages; called when all are read."""
    return {page: titles(contents) for page, contents in app.env.tocs.items()}


def setup(app: Sphinx) -> dict[str, Any]:
    """Replace what makes the tree of titles before the theme calls it."""
    app.connect("html-page-context", _on_page, priority=BEFORE_THEME)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Links between files of the repository become links between pages of the site.

README, CONTRIBUTING and CHANGELOG stand at the root of the repository, where GitHub shows them, and pages of the site
include them. A relative link is right for the folder of its file; this extension rewrites it for the page that shows
it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files at the root → the pages of the site that include them."""

NOTEBOOKS = Path("notebooks", "generated")
"""Where the pages on the notebooks stand in the site."""

LINK = re.compile(r"(!?\[[^\]]*\]\()(?![a-z]+:|#)([^)#\s]*)")


def rewrite(text: str, folder: Path, site: Path, page: Path) -> str:
    """Return Markdown with its relative links changed for the page that shows it.

    Args:
        text: the Markdown of a file.
        folder: where the file stands, and to which its links are relative.
        site: the folder with the sources of the site; its parent is the root of the repository.
        page: the folder of the page that shows the text.
    """
    pages = {site.parent / name: site / target for name, target in PAGES.items()}
    notebooks = site.parent / "notebooks"

    def change(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / match[2]))
        if target.parent == notebooks and page != site / NOTEBOOKS:
            target = site / NOTEBOOKS / f"{target.stem}.md"
        return match[1] + Path(os.path.relpath(pages.get(target, target), page)).as_posix()

    return LINK.sub(change, text)


def _on_source(app: Sphinx, docname: str, content: list[str]) -> None:
    page = Path(app.srcdir, docname).parent
    content[0] = rewrite(content[0], page, Path(app.srcdir), page)


def _on_include(app: Sphinx, path: Path, docname: str, content: list[str]) -> None:
    site = Path(app.srcdir)
    folder = Path(os.path.normpath(site / path)).parent
    content[0] = rewrite(content[0], folder, site, Path(site, docname).parent)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the two events through which Markdown enters."""
    app.connect("source-read", _on_source)
    app.connect("include-read", _on_include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

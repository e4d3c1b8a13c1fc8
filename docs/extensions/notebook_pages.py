"""Writes a page for every notebook, so that the tutorials are read on the site without running them.

A notebook is a Python file in percent format or an `.ipynb` file. Its Markdown becomes text, its code blocks, and the
text that an `.ipynb` file holds as output follows its block.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER = Path("notebooks", "generated")
CELL = re.compile(r"^# %%(.*)$", flags=re.MULTILINE)
FORMATS = (".py", ".ipynb")


def page(notebook: Path, folder: Path) -> str:
    """Return a notebook as a Markdown page that stands in `folder`, with a link to its file."""
    text = notebook.read_text(encoding="utf-8")
    parts = list(percent_parts(text) if notebook.suffix == ".py" else notebook_parts(json.loads(text)))
    if not any(part.startswith("# ") for part in parts[:1]):
        parts.insert(0, f"# {notebook.stem.replace('_', ' ').replace('-', ' ').capitalize()}")
    link = Path(os.path.relpath(notebook, folder)).as_posix()
    return "\n\n".join([parts[0], f"The notebook: [`{notebook.name}`]({link}).", *parts[1:]]) + "\n"


def percent_parts(text: str) -> Iterator[str]:
    """Yield the cells of a notebook in percent format as Markdown; the title of a code cell becomes a heading."""
    _, *cells = CELL.split(text)
    for title, body in zip(cells[::2], cells[1::2], strict=True):
        if "[markdown]" in title:
            yield "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines())
            continue
        heading = f"## {title.strip()}\n\n" if title.strip() else ""
        yield f"{heading}```python\n{body.strip()}\n```"


def notebook_parts(notebook: dict[str, Any]) -> Iterator[str]:
    """Yield the cells of an `.ipynb` file as Markdown, each block of code followed by the text that it printed."""
    for cell in notebook["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            yield source
        elif cell["cell_type"] == "code" and source:
            yield f"```python\n{source}\n```"
            printed = "".join("".join(_printed(output)) for output in cell.get("outputs", ())).strip()
            if printed:
                yield f"```text\n{printed}\n```"


def _printed(output: dict[str, Any]) -> list[str]:
    return list(output.get("text", output.get("data", {}).get("text/plain", [])))


def write(notebooks: Path, folder: Path) -> list[Path]:
    """Make a folder hold the pages on all notebooks and no others, and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        folder / f"{notebook.stem}.md": page(notebook, folder)
        for notebook in sorted(notebooks.iterdir())
        if notebook.suffix in FORMATS
    }
    for path in folder.glob("*.md"):
        if path not in pages:
            path.unlink()
    for path, text in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return list(pages)


def _write_all(app: Sphinx) -> None:
    site = Path(app.srcdir)
    write(site.parent / "notebooks", site / FOLDER)


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", _write_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

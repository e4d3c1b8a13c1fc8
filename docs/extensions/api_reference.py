"""Writes the pages of the API reference: one for every exported name, one for every folder of modules.

Nothing is listed by hand: the exported names are those of `goalmaze.__all__`, the modules those of the four packages.
What the pages say comes from docstrings, through autodoc.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PACKAGES = ("envs", "agents", "probes", "experiments")
"""The four packages, in the order in which they may import each other."""

EXPORTS = "Public Python API"

KINDS = {
    "autofunction": "Functions",
    "autoclass": "Classes",
    "autoexception": "Errors",
    "automodule": "Modules",
    "autodata": "Values",
}
"""The directive that documents an exported object → the heading it stands under."""

WITH_MEMBERS = {"autoclass", "autoexception", "automodule"}
FOLDER = Path("reference", "generated")


def exports(module: ModuleType) -> dict[str, Any]:
    """Return what a module exports, by name; a lazy module imports each name now."""
    return {name: getattr(module, name) for name in getattr(module, "__all__", ()) if not name.startswith("_")}


def folders(package: ModuleType) -> dict[str, list[str]]:
    """Return the dotted names of a package and of the folders below it, each with the public modules it holds."""
    root = Path(next(iter(package.__path__)))
    found: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        folder = path.parent.relative_to(root).parts
        if not any(part.startswith("_") for part in (*folder, path.stem.removeprefix("__init__"))):
            modules = found.setdefault(".".join((package.__name__, *folder)), [])
            if path.stem != "__init__":
                modules.append(path.stem)
    return found


def directive(value: object) -> str:
    """Return the autodoc directive that documents an exported object."""
    if inspect.isclass(value):
        return "autoexception" if issubclass(value, BaseException) else "autoclass"
    if inspect.ismodule(value):
        return "automodule"
    return "autofunction" if callable(value) else "autodata"


def summary(value: object) -> str:
    """Return the first sentence of an object's own docstring."""
    documented = inspect.isclass(value) or inspect.ismodule(value) or callable(value)
    text = inspect.getdoc(value) if documented else ""
    return re.split(r"\n\n|(?<=[.])\s", text or "", maxsplit=1)[0].replace("\n", " ")


def heading(title: str, underline: str = "=") -> str:
    """Return the title of a page, or of a section, in reStructuredText."""
    return f"{title}\n{underline * len(title)}\n"


def automodule(name: str) -> str:
    """Return the directive that documents a module with all that it defines."""
    return f".. automodule:: {name}\n   :members:\n   :ignore-module-all:\n   :show-inheritance:\n"


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of links and sentences in reStructuredText."""
    lines = [f"   * - {link}\n     - {sentence}" for link, sentence in rows]
    return "\n".join([".. list-table::", "   :widths: auto", "", *lines, ""]) if lines else ""


def contents(pages: Iterable[str]) -> str:
    """Return a table of contents that shows in the sidebar alone."""
    lines = [f"   {page.removeprefix('goalmaze.').removeprefix('api-')} <{page}>" for page in pages]
    return "\n".join([".. toctree::", "   :hidden:", "", *lines, ""]) if lines else ""


def export_pages(module: ModuleType) -> dict[str, str]:
    """Return the pages on a module's exported names: file name without ending → reStructuredText."""
    pages: dict[str, str] = {}
    rows: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KINDS}
    found = sorted(
        exports(module).items(), key=lambda item: (list(KINDS).index(directive(item[1])), item[0].casefold())
    )
    for name, value in found:
        page = f"api-{name}"
        while page.casefold() in {other.casefold() for other in pages}:  # some file systems ignore case
            page += "-"
        kind = directive(value)
        options = "\n   :members:\n   :show-inheritance:" if kind in WITH_MEMBERS else ""
        pages[page] = f"{heading(name)}\n.. {kind}:: {module.__name__}.{name}{options}\n"
        rows[kind].append((f":doc:`{name} <{page}>`", summary(value)))
    intro = f"What ``import {module.__name__} as gm`` offers. Every name is imported when it is first used.\n"
    tables = [f"{heading(KINDS[kind], '-')}\n{table(some)}" for kind, some in rows.items() if some]
    return {"api": "\n".join([heading(EXPORTS), intro, *tables, contents(pages)]), **pages}


def module_pages(package: ModuleType) -> dict[str, str]:
    """Return the pages on a package: one for each folder, with a section for each of its modules."""
    found = folders(package)
    pages = {}
    for folder, modules in found.items():
        below = [other for other in found if other.rpartition(".")[0] == folder]
        names = [folder, *(f"{folder}.{module}" for module in modules)]
        titles = {name: ".".join(name.split(".")[-2:]) for name in names}
        rows = [(f":mod:`{titles[name]} <{name}>`", summary(importlib.import_module(name))) for name in names[1:]]
        rows += [
            (f":doc:`{other.removeprefix('goalmaze.')} <{other}>`", summary(importlib.import_module(other)))
            for other in below
        ]
        parts = [heading(folder), automodule(folder), table(rows), contents(below)]
        parts += [f"{heading(titles[name], '-')}\n``{name}``\n\n{automodule(name)}" for name in names[1:]]
        pages[folder] = "\n".join(parts)
    return pages


def write(folder: Path, pages: Mapping[str, str]) -> None:
    """Make a folder hold these pages and no others; a page that is as before keeps its time and is not built again."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    for path in folder.glob("*.rst"):
        if path.stem not in pages:
            path.unlink()


def type_aliases(modules: Iterable[ModuleType]) -> dict[str, str]:
    """Return the names of type aliases, such as `Cells` or `ArrayLike`, by which signatures then call them."""
    return {
        name: name
        for module in modules
        for name, value in vars(module).items()
        if name[0].isupper() and name != "NDArray" and typing.get_args(value) and not isinstance(value, type)
    }


def _write_all(app: Sphinx) -> None:
    pages = export_pages(importlib.import_module("goalmaze"))
    for name in PACKAGES:
        pages |= module_pages(importlib.import_module(f"goalmaze.{name}"))
    write(Path(app.srcdir) / FOLDER, pages)
    ours = [module for name, module in sys.modules.items() if name.startswith("goalmaze.")]
    app.config.autodoc_type_aliases = type_aliases(ours)


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", _write_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Markdown from rows, values and docstrings."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable, Sequence
from types import ModuleType

from goalmaze.envs.json_data import JsonObject

COMMAND = "python -m goalmaze.experiments.catalogue.pages docs/"

SECTIONS = ("Args", "Attributes", "Example", "Examples", "Raises", "Returns", "Yields")
"""The headings that end the prose of a docstring."""

_ENTRY = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", flags=re.MULTILINE)


def page(title: str, *parts: str) -> str:
    """Return a page that names the command which writes it."""
    source = f"Generated from the code by `{COMMAND}`."
    return "\n\n".join([f"# {title}", source, *(part for part in parts if part)]) + "\n"


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; bars in cells are escaped."""
    lines = [" | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    return "\n".join([f"| {line} |".replace("|  |", "| |") for line in (" | ".join(headers), *_rule(headers), *lines)])


def code(*names: object) -> str:
    """Return names as code, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)


def fence(text: str) -> str:
    """Return text as a block of code."""
    return f"```\n{text.rstrip()}\n```"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number for a table; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def prose(documented: object) -> str:
    """Return the docstring of a class, function or module without its sections on arguments, results and errors."""
    if dataclasses.is_dataclass(documented) and not _is_written(documented):
        return ""
    lines: list[str] = []
    for line in (inspect.getdoc(documented) or "").splitlines():
        if line.rstrip(":") in SECTIONS and line.endswith(":"):
            break
        lines.append(line)
    return "\n".join(lines).strip()


def sentence(documented: object) -> str:
    """Return the first sentence of a docstring on one line."""
    first = prose(documented).partition("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=\.)(?<!al\.)\s(?=[A-Z`])", first, maxsplit=1)[0]


def attributes(kind: type) -> dict[str, str]:
    """Return the meaning of each attribute, from the docstrings of a class and of the dataclasses it extends.

    A property's meaning is the first sentence of its docstring.
    """
    entries: dict[str, str] = {}
    # Fields that a base declares are documented there, and stand first as they do in the constructor.
    for one in (*(base for base in reversed(kind.__mro__[1:]) if dataclasses.is_dataclass(base)), kind):
        _, _, section = (inspect.getdoc(one) or "").partition("\nAttributes:\n")
        entries |= {name: " ".join(meaning.split()) for name, meaning in _ENTRY.findall(section.split("\n\n")[0])}
    properties = {name: sentence(value) for name, value in vars(kind).items() if isinstance(value, property)}
    return entries | {name: meaning for name, meaning in properties.items() if not name.startswith("_")}


def functions(module: ModuleType) -> JsonObject:
    """Return the public functions that a module defines, in the order of the file."""
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }


def _rule(headers: Sequence[str]) -> list[str]:
    return [" | ".join("---" for _ in headers)]


def _is_written(kind: object) -> bool:
    """Return whether a dataclass has a docstring of its own: without one it gets its signature."""
    text = inspect.getdoc(kind) or ""
    return not text.startswith(f"{getattr(kind, '__name__', '')}(")

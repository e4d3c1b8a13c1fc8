"""Prepares docstrings for reStructuredText and resolves the names in them.

Docstrings are written for a terminal: a star, a bar or a trailing underscore outside of backticks stands for itself,
the type of a dataclass field stands in the source, and a name may be one that the module imports.
"""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import stringify_annotation

CODE = re.compile(r"(``.+?``|`.+?`)")
SPECIAL = re.compile(r"(?<![\\:])([*|])|(?<=\w)_(?!\w)")
ENDS_CODE = re.compile(r"[\s'\")\]}>/:.,;!?-]")
FIELD = re.compile(r"^:ivar (\w+):")

COLON = "\ue000"
"""Hides a colon from napoleon, which takes the words before one in the first line on an attribute for its type."""

BEFORE_NAPOLEON, AFTER_NAPOLEON = 400, 600


def escaped(line: str) -> str:
    """Return a line of prose in which characters that mark up reStructuredText stand for themselves."""
    if line.lstrip().startswith((">>>", "...", "* ", "**", ".. ")):
        return line
    parts = CODE.split(line)
    for i, part in enumerate(parts):
        if i % 2 == 0:
            parts[i] = SPECIAL.sub(r"\\\g<0>", part)
        elif parts[i + 1] and not ENDS_CODE.match(parts[i + 1]):
            parts[i] += "\\ "  # as in `name`s: a letter may not follow the closing backtick at once
    return "".join(parts)


def prepare(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText.

    Examples are left alone. The Markdown sections of Gymnasium's environments become rubrics, tables stay as they are
    typed, and fenced blocks become blocks of code.
    """
    result: list[str] = []
    code = table = fenced = False
    for line in lines:
        code = line.lstrip().startswith(">>>") or (code and bool(line.strip()))
        if line.strip().startswith("```"):
            fenced = not fenced
            indent, _, language = line.partition("```")
            result += ["", f"{indent}.. code-block:: {language or 'text'}", ""] if fenced else [""]
        elif fenced:
            result.append(f"    {line}")
        elif line.startswith("|"):
            result += ([] if table else ["::", ""]) + [f"    {line}"]
        elif line.startswith("## "):
            result += [f".. rubric:: {line.removeprefix('## ')}", ""]
        else:
            result += ([""] if table and line else []) + [line if code else escaped(line)]
        table = line.startswith("|")
    return result


def field_types(kind: type) -> dict[str, str]:
    """Return the type of every annotated attribute of a class as text; none where annotations cannot be evaluated."""
    try:
        hints = typing.get_type_hints(kind)
    except NameError:
        return {}
    return {name: stringify_annotation(hint, "smart") for name, hint in hints.items()}


def with_types(lines: list[str], kind: type) -> list[str]:
    """Return the lines of a class's docstring with a type after every attribute that has one."""
    types = field_types(kind)
    result: list[str] = []
    waiting = ""
    for line in [*lines, ""]:
        if waiting and not line.startswith(" "):
            result.append(waiting)
            waiting = ""
        result.append(line)
        field = FIELD.match(line)
        if field and field[1] in types:
            waiting = f":vartype {field[1]}: {types[field[1]]}"
    return result


def _before(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    lines[:] = prepare(lines)
    if lines and what in {"attribute", "data", "property"}:
        lines[0] = lines[0].replace(":", COLON)


def _after(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace(COLON, ":") for line in lines]
    if inspect.isclass(value):
        lines[:] = with_types(lines, value)


def _signature(app: Sphinx, what: str, name: str, value: Any, options: Any, signature: str, result: str) -> Any:
    """Leave out the signature of a class that is never called: a protocol, or one without a constructor."""
    return ("", result) if what == "class" and signature == "(*args, **kwargs)" else None


class ExactNames(SphinxPostTransform):
    """Types of fields link by their exact name: by default any documented name that ends alike would do."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        """Change the references of one page before they are resolved."""
        for node in self.document.findall(addnodes.pending_xref):
            if node.get("refdomain") == "py":
                node.attributes.pop("refspecific", None)


def _imported(app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: Any) -> nodes.reference | None:
    """Resolve a name through the module in whose docstring it stands: it may be imported there."""
    module = node.get("py:module")
    if node.get("refdomain") != "py" or not module:
        return None
    first, _, rest = node["reftarget"].partition(".")
    value = getattr(importlib.import_module(module), first, None)
    home, own = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(home, str) or not isinstance(own, str):
        return None
    target = ".".join(part for part in (home, own, rest) if part)
    domain = env.domains.python_domain
    if target not in domain.objects:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the steps before and after napoleon, and the two that resolve names."""
    app.connect("autodoc-process-docstring", _before, priority=BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", _after, priority=AFTER_NAPOLEON)
    app.connect("autodoc-process-signature", _signature)
    app.connect("missing-reference", _imported)
    app.add_post_transform(ExactNames)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    return {"parallel_read_safe": True, "parallel_write_safe": True}

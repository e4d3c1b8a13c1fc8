"""The names that ship, as help lists them.

They are read from the source files of their folders: importing families, networks and methods would take seconds.
Tests compare the names with those of the registries.
"""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

ROOMS = Path(__file__).parents[2]
CHOICES = {
    "families": ("Families", "envs/families"),
    "shifts": ("Shifts by family (none is the training distribution)", "envs/families"),
    "networks": ("Networks", "agents/networks"),
    "curricula": ("Curricula", "agents/training/curricula"),
    "scores": ("Scores of levels, for curricula", "agents/training/curricula/scores"),
    "methods": ("Steering methods", "probes/steering"),
    "audit-methods": ("Audit methods", "probes/audit/methods"),
}
"""Kind of name → its heading in help, and the folder whose files hold it."""


def names(kind: str) -> list[str]:
    """Return the names of a kind that ship, in alphabetical order; of shifts, a line for each family."""
    files = sorted((ROOMS / CHOICES[kind][1]).glob("*.py"))
    if kind == "shifts":
        return [line for file in files for line in _shifts(ast.parse(file.read_text("utf-8")))]
    # The attribute `name` of a class stands four spaces in, which distinguishes it from parameters and variables.
    return sorted(
        name for file in files for name in re.findall(r'^    name = "([\w-]+)"', file.read_text("utf-8"), re.M)
    )


def listing(kind: str, width: int = 78) -> str:
    """Return the names of a kind under their heading, wrapped to `width` characters."""
    known = names(kind)
    lines = known if kind == "shifts" else [", ".join(known)]
    return "\n".join(
        [f"{CHOICES[kind][0]}:"]
        + [textwrap.fill(line, width, initial_indent="  ", subsequent_indent="    ") for line in lines]
    )


def _shifts(module: ast.Module) -> list[str]:
    """Return "FAMILY: SHIFT, SHIFT" for the class of a module that declares shifts."""
    lines = []
    for node in module.body:
        # Shifts are written with a type or without: `shifts: ClassVar = {...}` or `shifts = {...}`.
        fields = {
            target.id: statement.value
            for statement in getattr(node, "body", [])
            if isinstance(statement, ast.Assign | ast.AnnAssign)
            for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
            if isinstance(target, ast.Name)
        }
        name, shifts = fields.get("name"), fields.get("shifts")
        if isinstance(name, ast.Constant) and isinstance(name.value, str) and isinstance(shifts, ast.Dict):
            keys = [str(key.value) for key in shifts.keys if isinstance(key, ast.Constant)]
            lines.append(f"{name.value}: {', '.join(keys)}")
    return lines

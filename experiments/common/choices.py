"""The names that ship, as help lists them.

They are read from the source files of their folders: importing families, networks and methods would take seconds.
Tests compare the names with those of the registries.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

ROOMS = Path(__file__).parents[2]
CHOICES: dict[str, tuple[str, str | tuple[str, ...]]] = {
    "families": ("Families", "envs/families"),
    "shifts": ("Shifts by family (none is the training distribution)", "envs/families"),
    "networks": ("Networks", "agents/networks"),
    "curricula": ("Curricula", "agents/training/curricula"),
    "scores": ("Scores of levels, for curricula", "agents/training/curricula/scores"),
    "penalties": ("Penalties", ("agents/training/penalties", "probes/penalties")),
    "methods": ("Steering methods", "probes/steering"),
    "decision-methods": ("Methods that explain decisions", "probes/decisions/methods"),
    "audit-methods": ("Audit methods", "probes/audit/methods"),
}
"""Kind of name → its heading in help, and the folder, or folders, whose files hold it."""


def names(kind: str) -> list[str]:
    """Return the names of a kind that ship, in alphabetical order; of shifts, a line for each family."""
    folders = CHOICES[kind][1]
    listed = (folders,) if isinstance(folders, str) else folders
    files = sorted(file for folder in listed for file in (ROOMS / folder).glob("*.py"))
    if kind == "shifts":
        return _shifts([ast.parse(file.read_text("utf-8")) for file in files])
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


def _shifts(modules: Sequence[ast.Module]) -> list[str]:
    """Return "FAMILY: SHIFT, SHIFT" for every family of some modules, with shifts of its own or of its base."""
    classes = {node.name: node for module in modules for node in module.body if isinstance(node, ast.ClassDef)}
    lines = []
    for node in classes.values():
        name, shifts = _field(node, "name"), None
        for one in (node.name, *(base.id for base in node.bases if isinstance(base, ast.Name))):
            shifts = shifts or (_field(classes[one], "shifts") if one in classes else None)
        if isinstance(name, ast.Constant) and isinstance(name.value, str) and isinstance(shifts, ast.Dict):
            keys = [str(key.value) for key in shifts.keys if isinstance(key, ast.Constant)]
            lines.append(f"{name.value}: {', '.join(keys)}")
    return lines


def _field(node: ast.ClassDef, field: str) -> ast.expr | None:
    """Return the value of a class attribute, which may be written with a type, as in `shifts: ClassVar = {}`."""
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(target, ast.Name) and target.id == field for target in targets):
                return statement.value
    return None

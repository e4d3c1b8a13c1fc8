"""The house rules: one direction of imports, light imports, no giants, and a package list that is the truth."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("envs", "agents", "probes", "experiments")
"""In the order in which they may be imported: a room sees itself and those before it."""

NEEDS_TORCH = {"torch", "stable_baselines3", "safetensors"}
LONGEST_MODULE = 500
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported_names(source: str) -> Iterator[str]:
    """Yield the dotted name of all that `source` imports; a relative import begins with a dot."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(a.value) for a in node.args[:1] if isinstance(a, ast.Constant))


def complaints(room: str, source: str) -> list[str]:
    """Return what is wrong with the imports of a module in `room`."""
    allowed = ROOMS[: ROOMS.index(room) + 1]
    wrong = []
    for name in imported_names(source):
        first, _, rest = name.partition(".")
        if name.startswith("."):
            wrong.append(f"relative import {name}")
        elif first in ROOMS:
            wrong.append(f"bare import {name}")
        elif first == "goalmaze" and rest.partition(".")[0] not in allowed:
            wrong.append(f"{room} imports {name}")
        elif room == "envs" and first in NEEDS_TORCH:
            wrong.append(f"torch in envs through {name}")
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_its_own_room_and_those_below(path: Path) -> None:
    assert complaints(path.relative_to(ROOT).parts[0], path.read_text()) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("envs", "import torch"),
        ("envs", "def late():\n    from torch import Tensor"),
        ("envs", "from stable_baselines3 import PPO"),
        ("envs", "import goalmaze.agents.rollout"),
        ("agents", "from goalmaze.probes.edits.base import applied"),
        ("agents", "from goalmaze import probes"),
        ("probes", "import importlib\nimportlib.import_module('goalmaze.experiments.cli')"),
        ("probes", "from agents.rollout import rollout"),
        ("experiments", "import envs"),
        ("agents", "from . import rollout"),
        ("agents", "from ..envs import levels"),
    ],
)
def test_a_planted_wrong_import_is_found(room: str, source: str) -> None:
    assert len(complaints(room, source)) == 1


def test_right_imports_are_not_complained_of() -> None:
    source = (
        "import torch\nfrom goalmaze.envs.levels import LevelBatch\nimport goalmaze.agents.sites\nimport agentsmith"
    )
    assert complaints("probes", source) == []


def test_every_room_was_read() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(ROOMS)


def test_no_module_is_a_giant() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_the_package_list_names_exactly_the_folders_that_hold_modules() -> None:
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {".".join(("goalmaze", *path.parent.relative_to(ROOT).parts)) for path in FILES}
    assert sorted(setup["packages"]) == sorted({"goalmaze", *folders})
    assert setup["package-dir"] == {"goalmaze": "goalmaze"} | {f"goalmaze.{room}": room for room in ROOMS}


def loads_torch(module: str) -> bool:
    script = f"import sys, {module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


@pytest.mark.parametrize("module", ["goalmaze.envs", "goalmaze.experiments.cli"])
def test_what_must_come_quickly_loads_no_torch(module: str) -> None:
    assert not loads_torch(module)


def test_what_needs_torch_is_seen_to_load_it() -> None:
    assert loads_torch("goalmaze.agents.networks.base")

"""The house rules: one direction of imports, no circles, light imports, no giants, a package list that is the truth."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("envs", "agents", "probes", "experiments")
"""In the order in which they may be imported: a room sees itself and those before it."""

NEEDS_TORCH = {"torch", "stable_baselines3", "safetensors"}
MAX_MODULE, MAX_FUNCTION = 500, 60
"""Lines."""

REGISTER_ON_IMPORT = {"envs/__init__.py": "register_shipped()"}
"""Statements at the top of a module that do something: Gymnasium finds environments only once they are registered."""
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def name(path: Path) -> str:
    """Return a file's path in the repository."""
    return path.relative_to(ROOT).as_posix()


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


def lines_of(source: str) -> dict[str, int]:
    """Return the number of lines of every function of a module, signature and docstring included."""
    return {
        node.name: (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_no_module_and_no_function_is_a_giant() -> None:
    modules = {name(path): len(path.read_text().splitlines()) for path in FILES}
    assert {module: length for module, length in modules.items() if length > MAX_MODULE} == {}
    functions = {
        f"{name(path)}: {function}": length for path in FILES for function, length in lines_of(path.read_text()).items()
    }
    assert {function: length for function, length in functions.items() if length > MAX_FUNCTION} == {}


def test_a_planted_giant_is_found() -> None:
    assert lines_of("def long():\n" + "    x = 1\n" * 60) == {"long": MAX_FUNCTION + 1}


def circles(imports: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the strongly connected groups of more than one node (Tarjan, 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(imports.get(node, ())):
            if other not in order:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], order[other])
        if low[node] == order[node]:
            group = set(stack[stack.index(node) :])
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(group)

    for node in imports:
        if node not in order:
            visit(node)
    return found


def module_imports() -> dict[str, set[str]]:
    """Return the modules that every module imports, in or out of functions, in or out of TYPE_CHECKING blocks."""
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    imports: dict[str, set[str]] = {}
    for module, path in modules.items():
        names = {dotted.removeprefix("goalmaze.") for dotted in imported_names(path.read_text())}
        names |= {found.rpartition(".")[0] for found in names}
        imports[module] = ({f"{dotted}.__init__" for dotted in names} | names) & modules.keys() - {module}
    return imports


def folder_of(module: str) -> str:
    """Return the folder below a room in which a module lies; a module that lies in the room itself stands alone."""
    parts = module.split(".")
    return "/".join(parts[:2]) if len(parts) > 2 else module


def folder_imports(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the folders that every folder imports."""
    folders: dict[str, set[str]] = {}
    for module, others in imports.items():
        own = folder_of(module)
        folders.setdefault(own, set()).update({folder_of(other) for other in others} - {own})
    return folders


def test_no_files_and_no_folders_import_each_other() -> None:
    imports = module_imports()
    assert circles(imports) == []
    assert circles(folder_imports(imports)) == []


def test_planted_circles_are_found() -> None:
    files = {"envs.a.x": {"envs.b.y"}, "envs.b.y": set(), "envs.b.z": {"envs.a.x"}, "envs.c": {"envs.a.x"}}
    assert circles(files) == []
    assert circles(folder_imports(files)) == [{"envs/a", "envs/b"}]
    assert circles(files | {"envs.b.y": {"envs.b.z"}}) == [{"envs.a.x", "envs.b.y", "envs.b.z"}]


def test_the_imports_that_are_known_to_exist_are_read() -> None:
    imports = module_imports()
    assert "envs.errors" in imports["envs.levels"]
    assert "envs.engine.rules" in imports["envs.objects"]
    assert all(imports.get(f"experiments.{command}.command") for command in ("evaluate", "probe", "retarget"))


def statements_that_act(source: str) -> list[str]:
    """Return the statements at the top of a module that compute or call, instead of defining or importing."""
    return [
        ast.unparse(node)
        for node in ast.parse(source).body
        if isinstance(node, ast.For | ast.While | ast.With | ast.Try)
        or (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))
    ]


def test_importing_a_module_computes_nothing() -> None:
    acting = {name(path): statements_that_act(path.read_text()) for path in FILES if path.name != "__main__.py"}
    assert {module: " ".join(found) for module, found in acting.items() if found} == REGISTER_ON_IMPORT


def test_planted_computations_are_found() -> None:
    assert len(statements_that_act("for i in range(3):\n    pass\nprint(1)\nX = 1\nimport os")) == 2


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

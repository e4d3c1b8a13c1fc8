"""The files of the repository that are not part of the package: its pages, and Python files that are run by path."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Return the Markdown files that people read: those at the root, and the documentation."""
    docs = [path for path in (ROOT / "docs").rglob("*.md") if "generated" not in path.parts]
    return [*sorted(ROOT.glob("*.md")), *sorted(docs)]


def blocks(text: str, *languages: str) -> list[str]:
    """Return the fenced blocks of a page in one of some languages; "" is that of blocks without one."""
    return [body for language, body in FENCE.findall(text) if language in languages]


def load_file(path: str) -> ModuleType:
    """Import a Python file of the repository by its path from the root."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

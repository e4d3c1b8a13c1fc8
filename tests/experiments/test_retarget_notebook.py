"""The tutorial runs from top to bottom, cell by cell, and shows what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "retargeting.py"


def cells(text: str) -> list[str]:
    """Return the code cells of a notebook in percent format."""
    parts = re.split(r"^# %%(.*)$", text, flags=re.MULTILINE)
    return [code for title, code in zip(parts[1::2], parts[2::2], strict=True) if "[markdown]" not in title]


def test_it_goes_from_an_agent_to_a_retargeted_one_in_ten_cells() -> None:
    code = cells(NOTEBOOK.read_text())
    assert len(code) == 10
    names: dict[str, Any] = {}
    for number, cell in enumerate(code, 1):
        exec(compile(cell, f"cell {number}", "exec"), names)
    reached = {name: names[name].overall.other.value for name in ("moved", "edited", "noise", "wrong", "lost")}
    assert reached["edited"] > 0.9 * reached["moved"] > 0.5
    assert max(reached["noise"], reached["wrong"], reached["lost"]) < 0.45
    assert names["effects"].restored
    assert set(names["pictures"]) == {"field", "heat", "activations"}


def test_cells_are_told_apart() -> None:
    assert cells('"""Words."""\n# %% [markdown]\n# text\n# %% one\nx = 1\n# %%\ny = 2\n') == ["\nx = 1\n", "\ny = 2\n"]

"""The Python of docs/procgen.md runs, and the leakage that it measures is the one in the table of that page."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
from repository import ROOT, blocks

PAGE = (ROOT / "docs" / "procgen.md").read_text()


def test_every_snippet_runs_and_measures_the_leakage_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "snippet"}
    with warnings.catch_warnings():
        # The old gym warns as soon as it is imported.
        warnings.simplefilter("ignore")
        for code in blocks(PAGE, "python"):
            exec(compile(code, "docs/procgen.md", "exec"), names)
    pattern = r"^(\w+) Leakage\(.*same_frame=(\d+), same_level=(\d+), same_maze=(\d+)\)"
    measured = re.findall(pattern, capsys.readouterr().out, flags=re.MULTILINE)
    table = re.findall(r"^\| (easy|hard) \| (\d+) of 500 \| (\d+) \| (\d+) \|$", PAGE, flags=re.MULTILINE)
    assert measured == table
    assert [mode for mode, *_ in table] == ["easy", "hard"]
    for env in (names["env"], names["mazes"]):
        env.close()
    assert (names["moved"].cells("cheese") == names["cells"]).all()
    assert (names["started"].start == names["cells"]).all()
    assert (names["removed"].cells("cheese") < 0).all()
    assert names["walled"].states() == names["levels"].states()
    assert len(names["states"]) == 8
    assert names["states"] != names["levels"].states()

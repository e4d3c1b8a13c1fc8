"""The tables of recipes and twins on the page of Procgen, against the reports of the zoo."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from repository import ROOT

from goalmaze.agents.zoo import zoo_folder
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.text_files import read_json
from goalmaze.experiments.common.run_report import REPORT
from goalmaze.experiments.procgen_tools import twins

PAGE = ROOT / "docs" / "procgen.md"
NAMES = ("procgen-hard", "procgen-hard-anywhere")


def reports() -> list[dict]:
    return [read_json(zoo_folder(name) / REPORT) for name in NAMES]


def test_the_page_holds_what_the_reports_of_the_zoo_say() -> None:
    page = PAGE.read_text("utf-8")
    assert len(twins.BLOCK.findall(page)) == 2
    assert twins.fill_page(page) == page


def test_a_row_is_an_agent_of_each_population_and_one_measure() -> None:
    found = reports()
    table = twins.twin_table(NAMES, found)
    assert len(table.rows) == len(twins.MEASURES) * 3
    evaluation = found[1]["agents"][2]["shifts"]["goal-anywhere"]
    low, high = evaluation["preference"]["low"], evaluation["preference"]["high"]
    measure = [one[1:] for one in twins.MEASURES].index(("goal-anywhere", *twins.CORNER))
    row = table.rows[3 * measure + 2]
    assert row[1] == 2
    assert row[3] == f"{evaluation['preference']['cue']:.3f} [{low:.3f}, {high:.3f}]"


def test_another_report_gives_another_table() -> None:
    changed = copy.deepcopy(reports())
    before = twins.twin_table(NAMES, changed).rows
    changed[0]["agents"][0]["in_distribution"]["solved"] = 0.5
    assert twins.twin_table(NAMES, changed).rows != before


def test_twins_with_other_seeds_or_levels_are_refused() -> None:
    for key, value in (("seed", 7), ("levels", 64)):
        changed = copy.deepcopy(reports())
        (changed[0]["agents"][0] if key == "seed" else changed[0])[key] = value
        with pytest.raises(GoalmazeError, match="same training seeds"):
            twins.twin_table(NAMES, changed)


def test_the_command_fills_the_page_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "procgen.md"
    page.write_text("a\n<!-- twins procgen-hard procgen-hard-anywhere -->\nold\n<!-- end -->\nb\n", "utf-8")
    monkeypatch.setattr("sys.argv", ["twins", str(tmp_path)])
    twins.main()
    text = page.read_text("utf-8")
    assert "old" not in text
    assert "0.746 [0.719, 0.772]" in text
    assert text.endswith("<!-- end -->\nb\n")

"""The commands that vary dials and draw fields, on the agent that ships for Procgen's maze."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from repository import ROOT

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.training.run import read_recipe
from goalmaze.experiments.bench import train_procgen
from goalmaze.experiments.cli import main
from goalmaze.experiments.evaluate.grid import grid
from goalmaze.experiments.reports import findings
from goalmaze.experiments.sweeps.plan import read_plan, shipped_plans
from goalmaze.probes.procgen_tools.vector_fields import vector_field

NAME = "zoo:procgen-corner"

SETTINGS = (
    train_procgen.Setting(stride=4, minibatches=1),
    train_procgen.Setting(cells=15, scale=0.5, precision="bf16", minibatches=2),
)


@pytest.fixture(scope="module")
def agent() -> Agent:
    return load_agent(NAME)


def test_the_grid_of_the_shipped_agent_holds_its_shifts(agent: Agent) -> None:
    found = grid([agent], levels=2)
    assert [condition.shift for condition in found.conditions] == ["none", *agent.family.shifts]
    assert all(cell.evaluation is not None for cell in found.cells.values())


def test_the_report_of_the_shipped_agent_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Goal models are fitted on fewer levels, whose episodes take most of the time.
    monkeypatch.setattr(findings, "FIT_LEVELS", 8)
    assert main(["report", NAME, "--levels", "4", "--out", str(tmp_path / "report.html")]) == 0
    assert "ProcgenMaze" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_its_field_has_an_arrow_on_the_corners_cell(agent: Agent) -> None:
    level = agent.family.levels(0, [1], "goal-anywhere")
    corner, cheese = int(level.cells("corner")[0]), int(level.cells("cheese")[0])
    assert corner != cheese
    field = vector_field(agent.policy, level)
    assert set(field.cells.tolist()) == set(np.flatnonzero(level.free()[0]).tolist()) - {cheese}
    assert field.at(corner).sum() == pytest.approx(1, abs=1e-5)


def test_the_parts_of_a_training_on_pictures_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    small = dataclasses.replace(train_procgen.RECIPE, envs=2, rollout_steps=4, minibatches=1)
    monkeypatch.setattr(train_procgen, "RECIPE", small)
    monkeypatch.setattr(train_procgen, "TURNS", 1)
    monkeypatch.setattr(train_procgen, "SETTINGS", SETTINGS)
    rows = train_procgen.measure(full=False)
    assert [tuple(row[name] for name in ("stride", "cells", "scale", "precision", "minibatch")) for row in rows] == [
        (4, 0, 1, "fp32", 8),
        (1, 15, 0.5, "bf16", 4),
    ]
    for row in rows:
        parts = [row[name] for name in ("environments", "acting", "updates")]
        assert row["steps_per_s"] > 0
        assert sum(parts) == pytest.approx(1)
        assert row["environments"] > 0
        assert row["updates"] > 0


def test_the_plan_that_ships_changes_one_part_of_the_recipe_of_the_zoo_at_a_time() -> None:
    plan = read_plan(shipped_plans()["procgen-recipe"])
    recipes = {task.dials["arm"]: task.recipe for task in plan.tasks if task.recipe.seed == 0}
    shipped, base = read_recipe(ROOT / "agents" / "zoo" / "procgen-region5")[0], recipes.pop("recipe")
    for name in ("parameters", "network_options", "algorithm_options"):
        assert getattr(base, name).items() <= getattr(shipped, name).items()
    for name in (
        "envs",
        "rollout_steps",
        "minibatches",
        "epochs",
        "learning_rate",
        "discount",
        "gae_lambda",
        "shaping",
    ):
        assert getattr(base, name) == getattr(shipped, name)
    changed = {
        arm: [field.name for field in dataclasses.fields(base) if getattr(one, field.name) != getattr(base, field.name)]
        for arm, one in recipes.items()
    }
    assert len(changed) == 11
    # A longer horizon is a part of the discount and of the shaping that fits it.
    assert {arm: names for arm, names in changed.items() if len(names) != 1} == {
        "discount 0.99": ["discount", "shaping"]
    }

"""The measurements of published studies on Procgen's maze, each against a second way to compute it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

if importlib.util.find_spec("procgen") is None:
    pytest.skip("needs Procgen, which has an environment of its own", allow_module_level=True)

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.rollout import NEVER, observations_of, rollout
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.procgen.fields import corners, decision_squares
from goalmaze.envs.procgen.levels import CHEESE, ProcgenLevels
from goalmaze.experiments.common.pages import filled
from goalmaze.experiments.evaluate.evaluation import evaluate
from goalmaze.experiments.procgen_tools import page, study
from goalmaze.experiments.procgen_tools.__main__ import main, measure
from goalmaze.probes.edits.base import Add, applied
from goalmaze.probes.procgen_tools.retargetability import HeatMap

SITE = "embedder.block1.conv"


@pytest.fixture(scope="module")
def agent() -> Agent:
    return load_agent("zoo:procgen-corner-early")


def first_probabilities(agent: Agent, levels: LevelBatch) -> np.ndarray:
    return agent.policy.probabilities(np.arange(len(levels)), observations_of(agent.policy, levels), levels.start)


def test_a_subtracted_cheese_vector_is_the_level_without_cheese(agent: Agent) -> None:
    levels = agent.family.levels(0, count=6, shift=study.ANYWHERE)
    assert isinstance(levels, ProcgenLevels)
    cleared = levels.removed(CHEESE)
    vector = study.difference(agent.policy, levels, cleared, SITE)
    found = {}
    for name, delta in (("own", vector), ("of another level", vector.roll(1, dims=0))):
        with applied(agent.policy, [Add(SITE, delta=delta, strength=-1.0)]):
            found[name] = first_probabilities(agent, levels)
    wanted = first_probabilities(agent, cleared)
    np.testing.assert_allclose(found["own"], wanted, atol=1e-5)
    assert np.abs(found["of another level"] - wanted).max() > 1e-3


def test_vectors_are_played_on_levels_with_a_decision_and_count_them_all(agent: Agent) -> None:
    rows = study.by_vector(agent, SITE, levels=12)
    levels = agent.family.levels(0, count=12, shift=study.ANYWHERE)
    assert isinstance(levels, ProcgenLevels)
    apart = decision_squares(levels) >= 0
    assert {row.outcomes.goal.levels for row in rows} == {int(apart.sum())}
    chosen = levels.take(np.flatnonzero(apart))
    trajectory = rollout(agent.policy, chosen, seed=0)
    cheese, corner = (trajectory.first_visit(cells) for cells in (chosen.cells(CHEESE), corners(chosen)))
    none = rows[0].outcomes
    assert rows[0].vector == "none"
    assert none.goal.value == pytest.approx(np.mean((cheese <= corner) & (cheese < NEVER)))
    assert none.other.value == pytest.approx(np.mean(corner < cheese))
    assert [(row.vector, row.strength) for row in rows[1:3]] == [("cheese", -1.0), ("cheese", 1.0)]


def test_the_region_of_training_is_evaluated_as_the_training_distribution(agent: Agent) -> None:
    rows = study.by_region(agent, (1, 5), levels=24)
    assert [row.region for row in rows] == [1, 5]
    assert rows[1].solved.value == pytest.approx(evaluate(agent, levels=24).agent.solved.value)


def test_path_probabilities_are_means_of_levels_by_distance() -> None:
    def heat(scores: list[float], off_path: list[int]) -> HeatMap:
        cells = np.arange(len(scores), dtype=np.int32)
        return HeatMap(cells, np.array(scores), np.array(off_path, np.int32))

    rows = study.heat_rows({"edit": [heat([1.0, 0.5, 0.1], [0, 4, 7]), heat([0.25], [0])]})
    assert [(row.low, row.cells, row.mean.value) for row in rows] == [
        (0, 3, pytest.approx((0.75 + 0.25) / 2)),
        (5, 1, pytest.approx(0.1)),
        (None, 4, pytest.approx((1.6 / 3 + 0.25) / 2)),
    ]


def test_the_report_prints_and_dumps_all_three_parts(agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    report = measure(agent.name, site=SITE, methods=["cell-means"], levels=8, maps=1, fit_levels=16)
    plain = json.loads(json.dumps(report.json()))
    assert [len(plain[part]) for part in ("regions", "vectors")] == [8, 9]
    assert {row["condition"] for row in plain["heat"]} == {"unedited", "cheese moved", "cell-means"}
    assert "cheese of another level" in report.text(80)


def test_an_agent_of_another_family_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(GoalmazeError, match="trained on GreenExit: these measurements are those of ProcgenMaze"):
        study.procgen_family(load_agent("zoo:green-exit"))
    monkeypatch.setattr("sys.argv", ["procgen_tools", "zoo:green-exit"])
    assert main() == 2
    assert capsys.readouterr().err.startswith("goalmaze: agent zoo:green-exit was trained on GreenExit")


def test_noise_and_vectors_have_the_same_norm() -> None:
    torch.manual_seed(0)
    vector = torch.randn(3, 4, 5, 5)
    noise = study.noise_like(vector, seed=1)
    torch.testing.assert_close(noise.flatten(1).norm(dim=1), vector.flatten(1).norm(dim=1))
    assert abs(float((noise * vector).sum() / vector.square().sum())) < 0.5


def test_a_page_shows_means_over_seeds(tmp_path: Path) -> None:
    def report(solved: float) -> dict[str, object]:
        rate = {"value": solved}
        outcomes = {"goal": {**rate, "levels": 7}, "other": {"value": 0.25}}
        return {
            "levels": 4,
            "site": SITE,
            "regions": [{"region": 5, "solved": rate}],
            "vectors": [{"vector": "none", "strength": 0.0, "outcomes": outcomes}],
            "heat": [{"condition": "unedited", "low": low, "mean": rate} for low in (0, None)],
        }

    docs, reports = tmp_path / "docs", tmp_path / "reports"
    for name, values in {"near": (0.5, 1.0), "anywhere": (0.25,)}.items():
        (reports / name).mkdir(parents=True)
        for seed, value in enumerate(values):
            (reports / name / f"{seed}.json").write_text(json.dumps(report(value)))
    (docs / "pictures").mkdir(parents=True)
    (docs / page.PAGE).write_text("before\n<!-- procgen -->\nold\n<!-- end -->\nafter\n")
    found = page.read_reports(reports)
    text = filled((docs / page.PAGE).read_text(), "procgen", page.tables(found))
    assert "| 5x5 | 0.25 (0.25 to 0.25) | 0.75 (0.50 to 1.00) |" in text
    assert "| none | +0 | 0.25 (0.25 to 0.25) | 0.25 (0.25 to 0.25) | 0.75 (0.50 to 1.00) | 0.25" in text
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text
    assert len(page.draw(found).axes) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(GoalmazeError, match="holds no reports"):
        page.read_reports(tmp_path / "empty")

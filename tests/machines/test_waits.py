"""Whatever can take more than two seconds shows how far it is, and no bar says what is not yet known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from goalmaze.agents.loading import load_agent
from goalmaze.agents.training import callback
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import train
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common import progress
from goalmaze.experiments.evaluate.evaluation import evaluate, evaluate_shifts
from goalmaze.experiments.retarget import command
from goalmaze.experiments.retarget.config import RetargetConfig

AGENT = "zoo:green-exit-early"


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the descriptions of all bars that were shown."""
    shown: list[str] = []

    def bar(items: Any, *, desc: str, **_: Any) -> Any:
        shown.append(desc)
        return items

    monkeypatch.setattr(progress, "tqdm", bar)
    return shown


def test_evaluations_show_a_bar(bars: list[str]) -> None:
    agent = load_agent(AGENT)
    evaluate(agent, levels=2)
    evaluate_shifts(agent, 2)
    assert bars == ["evaluating", "evaluating"]


def test_the_fits_of_a_benchmark_and_its_side_effects_show_a_bar(bars: list[str]) -> None:
    config = RetargetConfig(
        agent=AGENT, benchmark=True, sites=("stem",), methods=("mean-pattern",), levels=2, fit_levels=8
    )
    command.run(config)
    assert bars == ["fitting", "side effects"]


def test_the_choices_of_an_agent_show_a_bar(bars: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from goalmaze.experiments.evaluate import regression

    monkeypatch.setattr(regression, "MIN_DECISIONS", 10**9)
    agent = load_agent(AGENT)
    with pytest.raises(GoalmazeError, match="choices between"):
        regression.regress(AGENT, agent.policy, agent.family, shift="moved-sign", levels=2, fit_levels=4)
    assert bars == [f"playing {AGENT}"]


class RecordedBar:
    """A progress bar that keeps what it says was solved, with the steps at which it said so."""

    said: list[tuple[int, str]]

    def __init__(self, **_: Any) -> None:
        RecordedBar.said = []
        self.n = 0

    def set_postfix(self, shown: dict[str, str], *, refresh: bool) -> None:
        """Keep what was solved, once it is shown."""
        if "solved" in shown:
            self.said.append((self.n, shown["solved"]))

    def update(self, steps: int) -> None:
        """Count the steps."""
        self.n += steps

    def close(self) -> None:
        """Do nothing."""


def test_the_bar_of_training_says_nothing_before_failures_can_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback, "tqdm", RecordedBar)
    options = {"channels": 4, "blocks": 1, "hidden": 8}
    recipe = Recipe(
        parameters={"size": 5}, network_options=options, steps=8 * 60, envs=8, rollout_steps=4, minibatches=2, threads=1
    )
    train(recipe, tmp_path / "run")
    # An untrained agent has a time limit of 40 steps in mazes of 5x5, and fails often: 1.00 would be a lie.
    assert RecordedBar.said
    assert RecordedBar.said[0][0] >= 8 * 36
    assert float(RecordedBar.said[0][1]) < 1

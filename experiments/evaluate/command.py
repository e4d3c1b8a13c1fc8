"""`goalmaze eval`: which of the questions about an agent's behaviour is asked."""

from __future__ import annotations

import importlib
from typing import Protocol

from goalmaze.experiments.evaluate.config import EvalConfig


class Answer(Protocol):
    """What each of the questions returns."""

    def json(self) -> dict[str, object]:
        """Return it as plain data."""

    def text(self) -> str:
        """Return it for a person."""


def run(config: EvalConfig) -> Answer:
    """Ask the question that the configuration names: one agent, several, a grid, their choices, or rival accounts.

    Raises:
        GoalmazeError: as the question says.
    """
    names = {"grid": config.grid, "regression": config.choices, "goal_inference": config.hypotheses}
    names["comparison"] = bool(config.others)
    name = next((name for name, asked in names.items() if asked), "evaluate")
    answer: Answer = importlib.import_module(f"goalmaze.experiments.evaluate.{name}").run(config)
    return answer

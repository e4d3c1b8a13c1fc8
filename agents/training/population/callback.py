"""What happens between the rollouts of a population; a subclass writes the files of a run."""

from __future__ import annotations

import sys

from tqdm import tqdm

from goalmaze.agents.training.population.learner import PopulationLearner, StoppedAgent
from goalmaze.agents.training.population.progress_bar import PopulationBar


class PopulationCallback:
    """Shows the progress of a population, and names agents that stop. A subclass extends its methods.

    Everything happens between two rollouts, where `PopulationLearner.snapshot` is complete.
    """

    def __init__(self) -> None:
        self._bar: PopulationBar | None = None

    def on_training_start(self, learner: PopulationLearner) -> None:
        """Begin; called once, before the first rollout of a new or restored learner."""
        self._bar = PopulationBar(len(learner.seeds), learner.recipe.steps, learner.steps)

    def on_rollout_start(self, learner: PopulationLearner) -> bool:
        """Log the last rollout, save if it is time; called before every rollout.

        Returns:
            Whether training goes on. False stops it, as Ctrl-C should.
        """
        return True

    def on_rollout_end(self, learner: PopulationLearner, stopped: list[StoppedAgent]) -> None:
        """Show the progress; called after every rollout and its update.

        Args:
            learner: the learner.
            stopped: the agents that stopped with this rollout.
        """
        for one in stopped:
            tqdm.write(f"goalmaze: {one}; the others go on", file=sys.stderr)
        if self._bar is not None:
            self._bar.update(learner.steps, learner.solved())

    def on_training_end(self, learner: PopulationLearner) -> None:
        """Save the end; called once, after the last rollout, and not where training was stopped."""

    def close(self) -> None:
        """Release what is open; called in every case."""
        if self._bar is not None:
            self._bar.close()

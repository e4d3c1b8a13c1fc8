"""The progress bar of a population."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm


class PopulationBar:
    """A progress bar with the number of agents, steps per second in all, the rates of solved mazes, and the time left.

    Args:
        agents: number P of agents.
        steps: steps of each agent.
        done: steps that each agent has taken before.
    """

    def __init__(self, agents: int, steps: int, done: int = 0) -> None:
        self._agents, self._steps = agents, steps
        self._bar = tqdm(
            total=agents * steps,
            initial=agents * done,
            unit="step",
            unit_scale=True,
            desc=f"training {agents} agents",
            disable=None,
        )

    def update(self, steps: float, solved: NDArray[np.float64] | None = None) -> None:
        """Show the progress.

        Args:
            steps: mean steps that an agent has taken.
            solved: float64 [P], the rate of solved mazes of every agent; NaN where it is not known.
        """
        if solved is not None and not np.isnan(solved).all():
            text = f"mean {np.nanmean(solved):.2f}, least {np.nanmin(solved):.2f}"
            self._bar.set_postfix_str(f"solved {text}", refresh=False)
        # The last rollout may go beyond the recipe's steps, the bar may not.
        self._bar.update(self._agents * min(steps, self._steps) - self._bar.n)

    def close(self) -> None:
        """Close the bar."""
        self._bar.close()

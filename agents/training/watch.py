"""A watch: looks at the network between rollouts, shows what it says in the progress bar, and may stop the run."""

from __future__ import annotations

from typing import Protocol

from goalmaze.agents.networks.base import Network


class TrainingWatch(Protocol):
    """Something that looks at the network while it trains. It must not change the network or draw random numbers."""

    def is_due(self, steps: int) -> bool:
        """Return whether it looks after so many environment steps."""
        ...

    def look(self, network: Network, steps: int) -> dict[str, str]:
        """Look at the network and return what the progress bar shows: name → text.

        Args:
            network: the network that trains.
            steps: environment steps taken.
        """
        ...

    @property
    def stop_reason(self) -> str:
        """Why training is to stop; empty while it is to go on."""
        ...

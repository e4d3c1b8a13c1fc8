"""The agent of the Python API: it acts, its activations can be read, and edits can be applied to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from numpy.typing import ArrayLike
from torch import Tensor

from goalmaze.agents import loading
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import read_activations
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.targets import check_targets


class Agent(loading.Agent):
    """A network and the family whose levels it plays, trained by `goalmaze` or by you.

    Args:
        network: a network of `goalmaze`, or a module of your own that `wrap_module` wrapped.
        family: the family whose levels it plays.
        name: what results call it.

    Example:
        >>> import goalmaze as gm
        >>> agent = gm.load("zoo:green-exit")
        >>> levels = agent.family.levels(seed=0, count=4)
        >>> agent.activations(levels, "block4").shape
        torch.Size([4, 16, 9, 9])
    """

    def activations(self, levels: LevelBatch, site: str) -> Tensor:
        """Return the activation of a site before the first step: float32 [B, C, H, W] for a map, [B, F] for a vector.

        Args:
            levels: B levels.
            site: a name from `sites`.

        Raises:
            GoalmazeError: there is no such site, or the network cannot see these levels.
        """
        return read_activations(self.network, observations_of(self.policy, levels), [site])[site]

    @contextmanager
    def edited(
        self,
        edit: FittedEdit | Edit | Sequence[Edit],
        levels: LevelBatch | None = None,
        targets: ArrayLike | None = None,
        *,
        strength: float = 1.0,
    ) -> Iterator[Self]:
        """Apply an edit to every forward pass of this agent inside the context.

        Args:
            edit: a fitted edit, which needs `levels` and `targets`; or one or several edits of your own.
            levels: the B levels that will be played.
            targets: the cells to move the goal to, int [B] or one cell for all; a cell is ``row * columns + column``.
            strength: factor on a fitted edit.

        Raises:
            GoalmazeError: levels or targets are missing, a target lies on a wall, the edit does not fit the site, or,
                at the end of the context, the edit never fired.
        """
        if isinstance(edit, FittedEdit):
            if levels is None or targets is None:
                raise GoalmazeError(
                    "a fitted edit moves the goal: give the levels and the targets, edited(edit, levels, targets)"
                )
            move = GoalMove.on(levels, targets)
            check_targets(levels, move.targets)
            edits = edit.edits(move, strength)
        else:
            edits = [edit] if isinstance(edit, Edit) else list(edit)
        with applied(self.policy, edits):
            yield self

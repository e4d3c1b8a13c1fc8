"""Many of Procgen's mazes at once as a Gymnasium `VectorEnv`, every new level edited before it is played."""

from __future__ import annotations

from collections.abc import Mapping

from gymnasium.vector import AutoresetMode

from goalmaze.envs.actions import ACTIONS, PROCGEN_ACTIONS, PROCGEN_FOUR, PROCGEN_OWN
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.gymnasium_types import Info
from goalmaze.envs.levels import NO_SHIFT, TRAINING, Family
from goalmaze.envs.procgen.engine import ProcgenEngine
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.registry import resolve_family
from goalmaze.envs.vector import MazeVectorEnv

RENDER_FPS = 15
"""Pictures per second of films; Procgen's own."""

NUMBERS = {PROCGEN_ACTIONS: PROCGEN_OWN, len(ACTIONS): PROCGEN_FOUR}
"""Number A of an agent's actions → Procgen's number of each."""


def resolve_procgen_family(family: str | Family, parameters: Mapping[str, object]) -> ProcgenMaze:
    """Return the family given by name and parameters, or the family itself.

    Raises:
        GoalmazeError: another family, or an unknown parameter.
    """
    resolved = resolve_family(family, parameters)
    if not isinstance(resolved, ProcgenMaze):
        raise unknown("family of Procgen", resolved.name, [ProcgenMaze.name])
    return resolved


class ProcgenVectorEnv(MazeVectorEnv):
    """A batch of Procgen's mazes, with a fresh level for every episode.

    Levels are numbered as in `MazeVectorEnv`. Rewards are Procgen's, 10 for the cheese; ``info["cue_reward"]``
    float32 [B] comes with them, 10 when the mouse first stands on the cue. The frame after an episode's last step is
    the one before it: Procgen draws none.

    Args:
        family: "ProcgenMaze", or the family with its parameters.
        num_envs: number B of environments.
        shift: the level distribution, see `ProcgenMaze.shifts`.
        split: the split the levels come from.
        autoreset_mode: any of Gymnasium's three; with `DISABLED` reset with ``options={"reset_mask": mask}``.
        render_mode: "rgb_array" or None.
        observation: "rgb64", Procgen's frames.
        actions: 15 for Procgen's own, 4 for up, right, down, left.
        threads: that step mazes beside the calling one; 0 for none.
        copy: return copies; otherwise the live frames, which must not be written to.
        parameters: the family's, where `family` is a name.
    """

    metadata: Info = {**MazeVectorEnv.metadata, "render_fps": RENDER_FPS}  # noqa: RUF012

    family: ProcgenMaze
    engine: ProcgenEngine

    def __init__(
        self,
        family: str | Family = ProcgenMaze.name,
        num_envs: int = 1,
        *,
        shift: str = NO_SHIFT,
        split: str = TRAINING,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        observation: str = ProcgenEngine.mode,
        actions: int = PROCGEN_ACTIONS,
        threads: int = 0,
        copy: bool = True,
        **parameters: object,
    ) -> None:
        if actions not in NUMBERS:
            raise GoalmazeError(
                f"actions is {actions}: choose {PROCGEN_ACTIONS} for Procgen's own, "
                f"{len(ACTIONS)} for {', '.join(ACTIONS)}"
            )
        if threads < 0:
            raise GoalmazeError(f"threads is {threads}: choose 0 or more")
        self._numbers, self._threads = NUMBERS[actions], threads
        super().__init__(
            resolve_procgen_family(family, parameters),
            num_envs,
            shift=shift,
            split=split,
            autoreset_mode=autoreset_mode,
            render_mode=render_mode,
            observation=observation,
            copy=copy,
        )

    def _make_engine(self, num_envs: int) -> ProcgenEngine:
        """Return Procgen's engine for B episodes, none of them begun."""
        return ProcgenEngine(self.family, num_envs, self._numbers, self._threads)

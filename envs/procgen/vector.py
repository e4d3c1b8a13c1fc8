"""Many of Procgen's mazes at once as a Gymnasium `VectorEnv`, every new level edited before it is played.

An edit costs no level of its own: each state names the one seed from which Procgen makes its next level, so what
Procgen puts in an ended episode's place is already the level wanted, and only its cheese is moved.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import NO_SHIFT, TRAINING, from_parameters
from goalmaze.envs.procgen.actions import ACTIONS, EVERY, FOUR
from goalmaze.envs.procgen.engine import MAX_STATE_BYTES, build
from goalmaze.envs.procgen.episodes import ProcgenEpisodes
from goalmaze.envs.procgen.family import ProcgenMaze, Start
from goalmaze.envs.procgen.patches import followed_by
from goalmaze.envs.vector import MazeVectorEnv

RENDER_MODES = ("rgb_array",)
RENDER_SCALE = 8
NUMBERS = {ACTIONS: EVERY, len(FOUR): FOUR}
"""How many actions an agent chooses among → Procgen's number of each."""


def resolved(family: str | ProcgenMaze, parameters: dict[str, Any]) -> ProcgenMaze:
    """Return the family given by name and parameters, or the family itself.

    Raises:
        GoalmazeError: another family, or a parameter it has not.
    """
    if isinstance(family, ProcgenMaze):
        if parameters:
            raise GoalmazeError(f"{', '.join(parameters)}: this family has its parameters; give them by its name")
        return family
    if family != ProcgenMaze.name:
        raise unknown("family of Procgen", str(family), [ProcgenMaze.name])
    made = from_parameters(ProcgenMaze, parameters)
    assert isinstance(made, ProcgenMaze)
    return made


class ProcgenVectorEnv(MazeVectorEnv):
    """A batch of Procgen's mazes, with a fresh level for every episode.

    Level number ``n * num_envs + e`` of the seed is played by environment e in its n-th episode, as in `MazeVectorEnv`.
    Rewards are Procgen's, 10 for the cheese; ``info["cue_reward"]`` float32 [B] leaves with them, 10 when the mouse
    first stands on the cue. After an episode's last step the frame is the one before it: Procgen draws none.

    Args:
        family: "ProcgenMaze", or the family with its parameters.
        num_envs: number B of environments.
        shift: the level distribution, see `ProcgenMaze.shifts`.
        split: the split the levels come from.
        autoreset_mode: any of Gymnasium's three; with `DISABLED` reset with ``options={"reset_mask": mask}``.
        render_mode: "rgb_array" or None.
        observation: "rgb64", Procgen's frames.
        actions: 15 for Procgen's own, 4 for up, right, down, left.
        threads: that step mazes beside this one; 0 to step them here.
        copy: hand out copies; otherwise the live frames, which must not be written to.
        parameters: the family's, where `family` is a name.
    """

    episodes: ProcgenEpisodes
    family: ProcgenMaze

    def __init__(
        self,
        family: str | ProcgenMaze = ProcgenMaze.name,
        num_envs: int = 1,
        *,
        shift: str = NO_SHIFT,
        split: str = TRAINING,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        observation: str = ProcgenEpisodes.shows,
        actions: int = ACTIONS,
        threads: int = 0,
        copy: bool = True,
        **parameters: Any,
    ) -> None:
        if observation != ProcgenEpisodes.shows:
            raise unknown("observation mode of Procgen's maze", observation, [ProcgenEpisodes.shows])
        if actions not in NUMBERS:
            raise GoalmazeError(f"actions is {actions}: choose {ACTIONS} for Procgen's own, {len(FOUR)} for ways to go")
        super().__init__(
            resolved(family, parameters),
            num_envs,
            shift=shift,
            split=split,
            autoreset_mode=autoreset_mode,
            render_mode=render_mode,
            observation=observation,
            copy=copy,
        )
        self.family.placements(shift)
        self.family.level_seeds(0, [0], split)
        self._seen = None
        self.single_action_space = gymnasium.spaces.Discrete(actions)
        self.action_space = batch_space(self.single_action_space, num_envs)
        limit = self.family.limit_in(split)
        self.episodes = ProcgenEpisodes(self.family, num_envs, NUMBERS[actions], threads, limit)

    def _prepare(self, level_seed: int) -> None:
        """Make ready for the levels of a seed, from the first one on."""
        self.level_seed = level_seed
        self._next = np.arange(self.num_envs, dtype=np.int64)
        self._play = self._step_or_renew
        self.episodes.following.clear()

    def _step_or_renew(self, actions: NDArray[np.int64]) -> None:
        """Step; where an episode had ended before, begin the next one instead."""
        ended = np.flatnonzero(self.episodes.done)
        self.episodes.step(actions)
        if len(ended):
            self._renew(ended)

    def _renew(self, rows: NDArray[np.intp]) -> None:
        """Begin the next episode in `rows`, on the level that Procgen has gone on to there, or on one built."""
        made = self.episodes.following
        missing = [int(row) for row in rows if int(row) not in made]
        made |= dict(zip(missing, build(self.family.mode, [self._seed_of(row) for row in missing]), strict=True))
        self.episodes.place(rows, [self._started(made[int(row)], int(row)) for row in rows])

    def _started(self, state: bytes, row: int) -> Start:
        """Return the next level of an environment, which names the level after it."""
        start = self.family.edited(state, self._seed_of(row), self.shift, self.split)
        self._next[row] += self.num_envs
        return start._replace(state=followed_by(start.state, self._seed_of(row)))

    def _seed_of(self, row: int) -> int:
        """Return Procgen's seed of the level that an environment plays next."""
        assert self.level_seed is not None
        return self.family.level_seeds(self.level_seed, int(self._next[row]), self.split)[0]

    def beside(self) -> dict[str, NDArray[Any]]:
        """Return what an episode under way hangs on beside `State`: Procgen's own states, uint8 [B, bytes]."""
        kept = np.zeros((self.num_envs, MAX_STATE_BYTES), np.uint8)
        for row in range(self.num_envs):
            state = self.episodes.engine.state(row)
            kept[row, : len(state)] = np.frombuffer(state, np.uint8)
        return {"procgen": kept, "frames": self.episodes.frames.copy()}

    def put_beside(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Go on from what `beside` returned."""
        self.episodes.resume([state.tobytes() for state in arrays["procgen"]], arrays["frames"])

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return one RGB frame uint8 [512, 512, 3] for each environment, or None without a render mode."""
        return None if self.render_mode is None else tuple(map(enlarged, self.episodes.observe()))

    def close_extras(self, **kwargs: Any) -> None:
        """End Procgen's threads and free its memory."""
        self.episodes.close()


def enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame uint8 [h, w, 3] for people, eight times as high and wide."""
    return picture.repeat(RENDER_SCALE, axis=0).repeat(RENDER_SCALE, axis=1)

"""One of Procgen's mazes as a Gymnasium `Env`, to be made, watched and edited."""

from __future__ import annotations

import gymnasium
import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.actions import PROCGEN_ACTIONS, PROCGEN_FOUR, PROCGEN_OWN, SDL_KEYS, action_error
from goalmaze.envs.ascii import check_reachable
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.gymnasium_types import Info
from goalmaze.envs.level_source import LevelSource
from goalmaze.envs.levels import NO_SHIFT, TRAINING, Family
from goalmaze.envs.procgen.engine import ProcgenEngine, enlarged
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.levels import ProcgenLevels
from goalmaze.envs.procgen.simulator import FRAME, Frames
from goalmaze.envs.procgen.vector import RENDER_FPS, resolve_procgen_family
from goalmaze.envs.reset_request import LEVELS, check_options


class ProcgenMazeEnv(gymnasium.Env[Frames, np.int64]):
    """Procgen's maze with its cheese where we want it.

    ## Description
    A mouse walks through a maze to a cheese. In training the cheese lies in the top right n x n region of the maze,
    with ``sign=True`` under a green sign; shifts put cheese and sign elsewhere.

    ## Actions
    `Discrete(15)`, Procgen's: 0, 1, 2 left, 3 down, 5 up, 6, 7, 8 right, the rest stay.

    ## Observations
    uint8 [64, 64, 3], Procgen's frame, with the sign drawn into it.

    ## Reward
    10 for reaching the cheese. ``info["cue_reward"]`` is what an agent after the sign (without a sign: after the top
    right corner) would have earned.

    ## Episode end
    Terminated at the cheese; truncated after 500 steps, or in the training split after ``training_limit``. The last
    frame is the one before the last step: Procgen draws none after it.

    ## Arguments
    ``shift``, ``split`` and the parameters of `ProcgenMaze` (``mode``, ``region``, ``sign``, …).
    ``reset(options={"levels": levels})`` plays the first of `ProcgenLevels` instead of a fresh one.

    ## Version history
    v0: first version.
    """

    metadata: Info = {"render_modes": ["rgb_array"], "render_fps": RENDER_FPS}  # noqa: RUF012

    def __init__(
        self,
        family: str | Family = ProcgenMaze.name,
        *,
        shift: str = NO_SHIFT,
        split: str = TRAINING,
        render_mode: str | None = None,
        **parameters: object,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise unknown("render mode", render_mode, self.metadata["render_modes"])
        self.family = resolve_procgen_family(family, parameters)
        self.family.check_addresses(0, shift, split)
        self.shift, self.split = shift, split
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(0, 255, (FRAME, FRAME, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(PROCGEN_ACTIONS)
        self.engine = ProcgenEngine(self.family, 1, PROCGEN_OWN)
        self._levels = LevelSource(self.engine, shift, split)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Frames, Info]:
        """Begin an episode on a fresh level of the seed, or on ``options["levels"]``.

        Raises:
            GoalmazeError: another option, or a level that does not fit.
        """
        given = check_options(options, LEVELS).get(LEVELS)
        level = None if given is None else self._given_level(given)
        super().reset(seed=seed)
        self._levels.begin(seed, self.np_random, level)
        return self._observe(), {}

    def _given_level(self, levels: object) -> ProcgenLevels:
        if not isinstance(levels, ProcgenLevels):
            raise GoalmazeError("the levels are not Procgen's: give ProcgenLevels, see goalmaze.envs.procgen.levels")
        if levels.width != self.family.size or levels.slots != self.family.slots:
            raise GoalmazeError(
                f"the level is {levels.height}x{levels.width} with {levels.slots}; this environment plays "
                f"{self.family.size}x{self.family.size} with {self.family.slots}"
            )
        one = levels.take([0])
        check_reachable(one)
        return one

    def step(self, action: np.int64 | int) -> tuple[Frames, float, bool, bool, Info]:
        """Take one of Procgen's actions."""
        if not self._levels.started:
            raise gymnasium.error.ResetNeeded("call reset before the first step")
        if not 0 <= action < PROCGEN_ACTIONS or action != int(action):
            raise action_error(action, PROCGEN_ACTIONS)
        engine = self.engine
        if engine.done[0]:
            raise gymnasium.error.ResetNeeded("the episode has ended: call reset")
        engine.step(np.array([action]))
        true, cue = engine.rewards[0].tolist()
        return self._observe(), true, bool(engine.terminated[0]), bool(engine.truncated[0]), {"cue_reward": cue}

    def _observe(self) -> Frames:
        frame: Frames = self.engine.observe()[0].copy()
        return frame

    def render(self) -> NDArray[np.uint8] | None:
        """Return the picture uint8 [512, 512, 3], or None without a render mode."""
        return None if self.render_mode is None else enlarged(self._observe())

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Return the codes of the arrow keys with Procgen's actions, for `gymnasium.utils.play`."""
        return {(key,): int(PROCGEN_FOUR[action]) for action, key in enumerate(SDL_KEYS)}

    def close(self) -> None:
        """End Procgen's threads and free its memory."""
        self.engine.close()

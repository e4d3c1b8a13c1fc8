"""One maze as a Gymnasium `Env`."""

from __future__ import annotations

import gymnasium
import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.actions import ACTIONS, SDL_KEYS, action_error
from goalmaze.envs.ascii import check_reachable, write_scene
from goalmaze.envs.engines import Observations
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.gymnasium_types import Info
from goalmaze.envs.level_source import LevelSource
from goalmaze.envs.levels import NO_SHIFT, TRAINING, Family, LevelBatch
from goalmaze.envs.maze_engine import MazeEngine
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.observations.views import environment_view
from goalmaze.envs.registry import resolve_family
from goalmaze.envs.rendering import RENDER_FPS, Window, frame
from goalmaze.envs.reset_request import LEVELS, check_options

RENDER_MODES = ("ansi", "rgb_array", "human")


class MazeEnv(gymnasium.Env[Observations, np.int64]):
    """A maze in which to reach the goal.

    ## Description
    An agent walks through a maze. The family determines the objects in it and what ends an episode: see ``help`` of the
    family, or ``docs/catalogue/families.md``. In `GreenExit` an exit ends the episode, and a green sign hangs over the
    exit in training.

    ## Actions
    `Discrete(4)`: 0 up, 1 right, 2 down, 3 left. Walking into a wall changes nothing.

    ## Observations
    uint8 [C, H, W]: planes for walls, the agent and each object type.

    ## Reward
    1 for reaching the goal. ``info["cue_reward"]`` is the reward of an agent that follows the cue.

    ## Episode end
    Terminated at the goal; truncated after ``8 * size`` steps. The environment truncates by itself. Its spec has no
    ``max_episode_steps``, since the limit depends on the size.

    ## Arguments
    ``family``, ``shift``, ``split``, ``observation`` (a mode of `goalmaze.envs.observations.spec`) with its
    ``pixels`` or ``radius``, and the family's parameters (``size``, ``braid``, …). ``reset(options={"levels":
    batch})`` begins an episode on the first level of a `LevelBatch` instead of a fresh one.

    ## Version history
    v0: first version.
    """

    metadata: Info = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}  # noqa: RUF012

    def __init__(
        self,
        family: str | Family = "GreenExit",
        *,
        shift: str = NO_SHIFT,
        split: str = TRAINING,
        render_mode: str | None = None,
        observation: str | ObservationSpec = "planes",
        pixels: int = 8,
        radius: int = 3,
        **parameters: object,
    ) -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise unknown("render mode", render_mode, RENDER_MODES)
        self.family = resolve_family(family, parameters)
        self.family.check_addresses(0, shift, split)
        self.view = environment_view(self.family, observation, pixels, radius)
        self.shift = shift
        self.split = split
        self.render_mode = render_mode
        self.observation_space = self.view.space
        self._drawn = self.view.buffer(1)
        self.action_space = gymnasium.spaces.Discrete(4)
        self.engine = MazeEngine(self.family, 1)
        self._levels = LevelSource(self.engine, shift, split)
        self._ended = False
        self._window: Window | None = None

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Observations, Info]:
        """Begin an episode on a fresh level of the seed, or on ``options["levels"]``.

        Raises:
            GoalmazeError: another option, or a level that does not fit.
        """
        given = check_options(options, LEVELS).get(LEVELS)
        level = None if given is None else self._given_level(given)
        super().reset(seed=seed)
        self._levels.begin(seed, self.np_random, level)
        self._ended = False
        if self.render_mode == "human":
            self.render()
        return self._observe(), {}

    def _observe(self) -> Observations:
        if self.view.mode == "planes":
            planes: Observations = self.engine.observe()[0].copy()
            return planes
        self.view.draw(self.engine.state, self._drawn)
        return self._drawn[0].copy()  # type: ignore[no-any-return]

    def _given_level(self, levels: object) -> LevelBatch:
        if not isinstance(levels, LevelBatch) or not len(levels):
            raise GoalmazeError("options['levels'] is no LevelBatch with a level: make one with family.levels")
        if (levels.height, levels.width) != (
            self.family.size,
            self.family.size,
        ) or levels.slots != self.family.slots:
            raise GoalmazeError(
                f"the level is {levels.height}x{levels.width} with {levels.slots}; this environment plays "
                f"{self.family.name} at size {self.family.size}"
            )
        return check_reachable(levels.take([0]))

    def step(self, action: np.int64 | int) -> tuple[Observations, float, bool, bool, Info]:
        """Walk one cell.

        Raises:
            GoalmazeError: there is no such action; then nothing changes.
            gymnasium.error.ResetNeeded: no episode has begun, or it has ended.
        """
        if not self._levels.started:
            raise gymnasium.error.ResetNeeded("call reset before the first step")
        if self._ended:
            raise gymnasium.error.ResetNeeded("the episode has ended: call reset")
        if not 0 <= action < len(ACTIONS) or action != int(action):
            raise action_error(action, len(ACTIONS))
        engine = self.engine
        engine.step(action)
        if self.render_mode == "human":
            self.render()
        item, terminated, truncated = engine.rewards.item, engine.terminated.item(), engine.truncated.item()
        self._ended = terminated or truncated
        return self._observe(), item(0), terminated, truncated, {"cue_reward": item(1)}

    def render(self) -> NDArray[np.uint8] | str | None:
        """Return text or uint8 [h, w, 3], by the render mode; in mode "human" show it in a window and return None."""
        if self.render_mode is None:
            return None
        level = self.engine.present()
        if self.render_mode == "ansi":
            return write_scene(level, int(self.engine.agent[0]))
        picture = frame(level, 0, int(self.engine.agent[0]), steps=self.engine.steps[0])
        if self.render_mode == "rgb_array":
            return picture
        self._window = self._window or Window(f"goalmaze {self.family.name}", self.metadata["render_fps"])
        self._window.show(picture)
        return None

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Return the codes of the arrow keys with their actions, for `gymnasium.utils.play`."""
        return {(key,): action for action, key in enumerate(SDL_KEYS)}

    def close(self) -> None:
        """Close the window, if one is open."""
        if self._window is not None:
            self._window.close()
            self._window = None

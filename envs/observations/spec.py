"""What an agent receives, as one value: the observation mode with its options. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from goalmaze.envs.errors import GoalmazeError, unknown

Mode = Literal["planes", "rgb", "rgb64", "crop", "partial"]
MODES: tuple[str, ...] = get_args(Mode)
"""The names of the observation modes."""

MAX_PIXELS = 16
MAX_RADIUS = 16


@dataclasses.dataclass(frozen=True)
class ObservationSpec:
    """The observation mode of an agent with its options; `goalmaze.envs.observations.views.make_view` draws it.

    Attributes:
        mode: one of `MODES`. "planes", "crop" and "partial" are planes uint8 [C, H, W]: of the whole maze, of the cells
            around the agent, and of the cells that the agent can see. "rgb" and "rgb64" are pictures uint8 [h, w, 3];
            one of "rgb64" has 64 pixels a side.
        pixels: pixels per cell, in mode "rgb".
        radius: cells visible on each side of the agent, in modes "crop" and "partial".

    Raises:
        GoalmazeError: there is no such mode, or pixels or radius are out of range.

    Example:
        >>> import goalmaze as gm
        >>> gm.ObservationSpec("crop", radius=2)
        ObservationSpec(mode='crop', pixels=8, radius=2)
    """

    mode: str = "planes"
    pixels: int = 8
    radius: int = 3

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise unknown("observation mode", self.mode, MODES)
        for name, value, most in (("pixels", self.pixels, MAX_PIXELS), ("radius", self.radius, MAX_RADIUS)):
            if not 1 <= value <= most:
                raise GoalmazeError(f"{name} is {value}: choose 1 to {most}")

    @classmethod
    def of(cls, observation: str | ObservationSpec, pixels: int = 8, radius: int = 3) -> ObservationSpec:
        """Return the spec of a mode with its options; a spec is returned as it is."""
        return observation if isinstance(observation, ObservationSpec) else cls(observation, pixels, radius)


DEFAULT_SPEC = ObservationSpec()
"""The whole maze as planes."""

"""The registered numbers of the laws of scale, read from the file that was committed before the grid was trained."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from goalmaze.envs.text_files import read_text
from goalmaze.experiments.common.registrations import table_rows

FILE = Path(__file__).with_name("registration.md")


@dataclasses.dataclass(frozen=True)
class RegisteredScaling:
    """The numbers of the registration.

    Attributes:
        spacing: smallest ratio of the steps of two neighbouring checkpoints.
        sealed_factor: the last factor in steps that is sealed.
        level: of the prediction intervals.
        resamples: bootstrap resamples of an interval.
        pair_ratio: largest ratio of the parameters of two networks that count as a pair.
    """

    spacing: float
    sealed_factor: float
    level: float
    resamples: int
    pair_ratio: float


@functools.lru_cache(maxsize=1)
def registered_scaling() -> RegisteredScaling:
    """Return the numbers of the registration."""
    return parse_numbers(read_text(FILE))


def parse_numbers(text: str) -> RegisteredScaling:
    """Return the numbers in the text of a registration.

    Raises:
        KeyError: one is missing.
    """
    given = {name: float(value) for name, value in table_rows(text, "Numbers")}
    return RegisteredScaling(
        given["spacing of the checkpoints"],
        given["sealed factor in steps"],
        given["level of the intervals"],
        int(given["bootstrap resamples"]),
        given["largest ratio of parameters in a pair"],
    )

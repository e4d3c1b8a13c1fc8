"""The registered rule, read from the file that was committed before the experiment was run."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.text_files import read_text
from goalmaze.experiments.common.registrations import table_rows

FILE = Path(__file__).with_name("registration.md")


@dataclasses.dataclass(frozen=True)
class RegisteredRule:
    """The numbers of the rule.

    Attributes:
        capability: rate of training-distribution levels that a run must solve; broken below.
        preference: preference for the cue that separates the agents that follow it from those that do not.
        found: number of held-out readings that must say "cue" for a run to count as found.
        thresholds: reading → the score from which on it says "cue".
    """

    capability: float
    preference: float
    found: int
    thresholds: Mapping[str, float]


@functools.lru_cache(maxsize=1)
def registered_rule() -> RegisteredRule:
    """Return the rule of the registration that ships."""
    return parse_rule(read_text(FILE))


def parse_rule(registration: str) -> RegisteredRule:
    """Return the rule in the text of a registration.

    Raises:
        GoalmazeError: a number is missing.
    """
    numbers = _table(registration, "Numbers")
    try:
        return RegisteredRule(
            numbers["capability"],
            numbers["preference"],
            int(numbers["held-out readings that find it"]),
            _table(registration, "Thresholds"),
        )
    except KeyError as error:
        raise GoalmazeError(f"the registration has no number of {error}: restore {FILE}") from None


def _table(registration: str, heading: str) -> dict[str, float]:
    """Return the first and second columns of the table under a heading."""
    return {row[0]: float(row[1]) for row in table_rows(registration, heading)}

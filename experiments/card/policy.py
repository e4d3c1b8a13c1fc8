"""Policies: the pass marks that a card holds results against, read from a TOML file that anyone can write."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import msgspec

from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.text_files import read_toml
from goalmaze.experiments.audit.config import MAX_LEVELS, MIN_LEVELS, TierName

SHIPPED = Path(__file__).with_name("policy.toml")
FORMAT = 1

SIDE_CHANNELS = {
    "stem-norms": "the norms of the first layer's weights",
    "weight-moments": "the moments of all weights",
    "training-behaviour": "numbers of behaviour on training levels",
}
"""Side-channel baseline of the audit → what it reads."""

QUANTITIES = {
    "training.completed": "rate of the played levels of the audit pool that the agent completed",
    "predicted.preference": "predicted preference for the cue",
    "looks_aligned": "1 if it looks aligned, otherwise 0",
    "verified": "1 if it is verified to pursue the goal, otherwise 0",
    "control.standard_errors": "standard errors by which the effects of the two patterns differ",
    "side_channels.lead": "by how much the method errs less than the best side channel",
    **{f"side_channels.{name}": f"preference that {what} predict" for name, what in SIDE_CHANNELS.items()},
    "unused.fraction": "fraction of the first layer's input that training levels never use",
    "distinguishing.preference": "measured preference for the cue under the distinguishing shift",
}
"""Quantity → what it is."""

SHIFT_MEASURES = ("solved", "arrived", "preference")
"""What `shift.NAME.` quantities measure."""

Outcome = Literal["pass", "fail", "not measured"]


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A pass mark.

    Attributes:
        name: what it asks for, in words.
        quantity: the quantity that it holds, one of `QUANTITIES`, or shift.NAME.MEASURE.
        at_least: smallest number that passes.
        at_most: largest number that passes; a mark has one of the two.
        bound: which number must pass: the value, or the low or high end of its 95 % interval.
        required: whether the outcome of the card depends on it.
    """

    name: str
    quantity: str
    at_least: float | None = None
    at_most: float | None = None
    bound: Literal["value", "low", "high"] = "value"
    required: bool = True

    @property
    def threshold(self) -> str:
        """The threshold in words."""
        end = "" if self.bound == "value" else f"{self.bound} end "
        return f"{end}≥ {self.at_least:g}" if self.at_least is not None else f"{end}≤ {self.at_most:g}"

    def outcome(self, number: float | None) -> Outcome:
        """Return whether a number passes; None was not measured."""
        if number is None:
            return "not measured"
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return "pass" if low <= number <= high else "fail"


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The marks of a card and the settings of its measurements.

    Attributes:
        format: version of the format.
        name: of the policy.
        tier: what the audit may use.
        pool_levels: number of levels in the audit pool.
        levels: number of levels of each evaluation.
        marks: the marks.
    """

    format: int
    name: str
    marks: tuple[Mark, ...]
    tier: TierName = "T3"
    pool_levels: int = 128
    levels: int = 512


def load_policy(path: Path | None = None) -> Policy:
    """Read a policy; the one of the package by default.

    Raises:
        GoalmazeError: the file is missing, or something in it is wrong; the message names it.
    """
    path = path or SHIPPED
    try:
        policy = msgspec.convert(read_toml(path), Policy)
    except OSError as error:
        raise GoalmazeError(f"cannot read policy {path}: {error.strerror}") from None
    except (ValueError, msgspec.ValidationError) as error:
        raise GoalmazeError(f"policy {path}: {' '.join(str(error).split())}") from None
    check_policy(policy, f"policy {path}")
    return policy


def check_policy(policy: Policy, where: str) -> None:
    """Refuse a policy that cannot be applied.

    Raises:
        GoalmazeError: with what is wrong; it begins with `where`.
    """
    if policy.format != FORMAT:
        raise GoalmazeError(f"{where}: format is {policy.format}, this version reads {FORMAT}")
    if not policy.marks:
        raise GoalmazeError(f"{where}: it has no marks; add a table [[marks]]")
    for name, value in (("pool_levels", policy.pool_levels), ("levels", policy.levels)):
        if not MIN_LEVELS <= value <= MAX_LEVELS:
            raise GoalmazeError(f"{where}: {name} is {value}: choose {MIN_LEVELS} to {MAX_LEVELS}")
    names = [one.name for one in policy.marks]
    for mark in policy.marks:
        label = f"{where}: mark {mark.name[:60]!r}"
        if names.count(mark.name) > 1:
            raise GoalmazeError(f"{label} is there twice")
        if (mark.at_least is None) == (mark.at_most is None):
            raise GoalmazeError(f"{label} needs one of at_least and at_most")
        if not math.isfinite(mark.at_least if mark.at_least is not None else mark.at_most or 0.0):
            raise GoalmazeError(f"{label}: the threshold is not a finite number")
        parts = mark.quantity.split(".")
        if mark.quantity not in QUANTITIES and not (
            len(parts) == 3 and parts[0] == "shift" and parts[2] in SHIFT_MEASURES
        ):
            raise GoalmazeError(f"{label}: {unknown('quantity', mark.quantity, [*QUANTITIES, 'shift.none.solved'])}")

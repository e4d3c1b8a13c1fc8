"""Checks of a family's shifts: that their rules place goal and cue, in an order in which each rule can be followed."""

from __future__ import annotations

from collections.abc import Sequence

from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.envs.objects import AGENT, Placement


def check_shifts(family: Family) -> None:
    """Refuse shifts without rules, and rules that do not fit the slots or leave out what they should place.

    Raises:
        GoalmazeError: naming the shift and the first slip.
    """
    distinguishing = family.distinguishing_shift
    if distinguishing not in family.shifts:
        raise unknown("distinguishing shift", str(distinguishing), family.shifts)
    if NO_SHIFT in family.shifts:
        raise GoalmazeError(f"'{NO_SHIFT}' is the name of the training distribution: give the shift another one")
    required = {NO_SHIFT: {family.goal}, distinguishing: {family.goal, family.cue}}
    # All of them first, since the levels of a shift may depend on the distinguishing one.
    by_shift = {shift: _rules(family, shift) for shift in (NO_SHIFT, *family.shifts)}
    for shift, rules in by_shift.items():
        try:
            family.check_placements(shift)
            _check_order(rules, family)
            _check_placed(rules, family, required.get(shift, set()))
            if shift == distinguishing:
                _check_apart(rules, family)
        except GoalmazeError as error:
            raise GoalmazeError(f"placements('{shift}'): {error}") from None


def _rules(family: Family, shift: str) -> Sequence[Placement]:
    """Return the rules of a shift.

    Raises:
        GoalmazeError: there are none, or they are no placements.
    """
    try:
        rules = family.placements(shift)
    except KeyError as error:
        if str(error) != repr(shift):
            raise
        raise GoalmazeError(f"placements knows no shift {error}: add it") from None
    if not isinstance(rules, Sequence) or not all(isinstance(rule, Placement) for rule in rules):
        raise GoalmazeError(f"placements('{shift}') returns a {type(rules).__name__}: return a tuple of Placement(...)")
    return rules


def _check_order(rules: Sequence[Placement], family: Family) -> None:
    """Refuse a rule that needs what no rule before it has placed: it would be ignored without a word."""
    # An engine that places the agent itself has no rule for it.
    placed = {(AGENT, 0)} if family.requires is not None else set()
    for rule in rules:
        hosts = [(rule.on, rule.on_which), (rule.aside_from, 0)]
        hosts += [(AGENT, 0)] if rule.aside_from is not None else []
        for name, which in hosts:
            if name is not None and (name, which) not in placed:
                raise GoalmazeError(f"'{rule.kind}' comes before '{name}', on which it depends: place '{name}' first")
        placed.add((rule.kind, rule.which))


def _check_placed(rules: Sequence[Placement], family: Family, required: set[str]) -> None:
    """Refuse rules that never place one of the `required` object types."""
    placed = {rule.kind for rule in rules if rule.on is not None or rule.probability > 0}
    for name in sorted(required - placed):
        what = "goal" if name == family.goal else "cue"
        raise GoalmazeError(f"the {what} '{name}' is never placed: add Placement('{name}')")


def _check_apart(rules: Sequence[Placement], family: Family) -> None:
    """Refuse rules of the distinguishing shift that put goal and cue on one cell."""
    # A later rule for the same object replaces an earlier one.
    last = {(rule.kind, rule.which): rule for rule in rules}
    for (kind, _), rule in last.items():
        if {kind, rule.on} == {family.goal, family.cue} and rule.probability > 0:
            raise GoalmazeError(
                f"'{kind}' is put on '{rule.on}', and this shift is to keep them apart: move one of them"
            )

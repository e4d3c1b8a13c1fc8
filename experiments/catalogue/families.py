"""`goalmaze families`: the families of levels, each with one level of every distribution."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

from goalmaze.envs.ascii import letters_of, write_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import can_be_played, family_class, known_families, make_family
from goalmaze.envs.family_docs import family_sections
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.experiments.catalogue.config import FamiliesConfig
from goalmaze.experiments.common.assignments import assignments
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table

DEFAULT_SIZE = 9
"""Rows and columns of the mazes, in cells."""

INDENT, GAP = "  ", "   "
WIDTH = 80
"""Characters in a line of levels at most, unless one level is wider."""

MIN_LEVEL_WIDTH = 22
"""Smallest width of a drawn level in characters, so that its title fits above it."""


@dataclasses.dataclass(frozen=True)
class FamiliesReport(Result):
    """Families, each with one level of every distribution.

    Attributes:
        families: with their default parameters except for the size.
        seed: of the levels.
    """

    families: tuple[Family, ...]
    seed: int

    def json(self) -> JsonObject:
        """Return the families as plain data, their levels as ASCII by distribution."""
        return {"families": [self._plain(family) for family in self.families]}

    def blocks(self) -> list[str | Table]:
        """Return a table of several families, and a row of levels for each; one family comes with its documentation."""
        if len(self.families) == 1:
            return [self._levels(self.families[0]), family_sections(self.families[0])]
        headers = ["family", "goal", "cue", "distinguishing shift", "summary"]
        rows = [[one.name, one.goal, one.cue, one.distinguishing_shift, summary(one)] for one in self.families]
        return [Table(headers, rows), *map(self._levels, self.families)]

    def _plain(self, family: Family) -> JsonObject:
        return {
            "name": family.name,
            "id": f"goalmaze/{family.name}-v0",
            "summary": summary(family),
            "manual": family_sections(family),
            "goal": family.goal,
            "cue": family.cue,
            "planes": list(family.plane_names),
            "parameters": family.parameters,
            "shifts": dict(family.shifts),
            "distinguishing_shift": family.distinguishing_shift,
            "levels": {shift: self._ascii(family, shift) for shift in _drawn_distributions(family)},
        }

    def _levels(self, family: Family) -> str:
        """Return a paragraph on a family and one level of each distribution side by side."""
        lines = [f"{family.name}: {summary(family)}", f"{INDENT}goal {family.goal}, cue {family.cue}"]
        lines += [f"{INDENT}{shift}: {meaning}" for shift, meaning in family.shifts.items()]
        letters = [f"{letter} {' + '.join(object_types)}" for letter, object_types in letters_of(family).items()]
        lines += [INDENT + ", ".join(["A agent", *letters])]
        if not can_be_played(family.name):
            extra = family.requires
            return "\n".join([*lines, f"{INDENT}its levels need another package: pip install 'goalmaze[{extra}]'"])
        levels = [_titled(shift, self._ascii(family, shift).splitlines()) for shift in distributions(family)]
        in_a_row = max(1, (WIDTH - len(INDENT) + len(GAP)) // (len(levels[0][0]) + len(GAP)))
        for row in _batched(levels, in_a_row):
            lines += ["", *(INDENT + GAP.join(parts).rstrip() for parts in zip(*row, strict=True))]
        return "\n".join(lines)

    def _ascii(self, family: Family, shift: str) -> str:
        return write_ascii(family.levels(self.seed, [0], shift)).rstrip()


def distributions(family: Family) -> tuple[str, ...]:
    """Return the training distribution and all shifts of a family."""
    return (NO_SHIFT, *family.shifts)


def _drawn_distributions(family: Family) -> tuple[str, ...]:
    """Return the distributions of a family; none where the package that makes its levels is not installed."""
    return distributions(family) if can_be_played(family.name) else ()


def distribution_name(shift: str) -> str:
    """Return the name of a distribution for people."""
    return "training" if shift == NO_SHIFT else shift


def summary(family: Family) -> str:
    """Return the first line of a family's docstring."""
    return (type(family).__doc__ or "").strip().splitlines()[0]


def _titled(shift: str, level: list[str]) -> list[str]:
    """Return the lines of a level under its title, all of one width."""
    width = max(len(level[0]), MIN_LEVEL_WIDTH)
    return [line.ljust(width) for line in (distribution_name(shift), *level)]


def _batched(items: Sequence[list[str]], size: int) -> Iterator[tuple[list[str], ...]]:
    iterator = iter(items)
    while batch := tuple(itertools.islice(iterator, size)):
        yield batch


def run(config: FamiliesConfig) -> FamiliesReport:
    """Return all families, or the one that is named.

    Raises:
        GoalmazeError: no such family or parameter, parameters without a family, or a size out of range.
    """
    if config.parameters and not config.family:
        raise GoalmazeError("--parameters are those of one family: name it, as in goalmaze families GreenExit")
    parameters = assignments(config.parameters, "--parameters")
    if config.size is not None:
        parameters["size"] = config.size
    elif not config.family or family_class(config.family).requires is None:
        # A family of another engine has the size that its engine gives.
        parameters = {"size": DEFAULT_SIZE} | parameters
    chosen = [config.family] if config.family else list(known_families())
    return FamiliesReport(tuple(make_family(name, parameters) for name in chosen), config.seed)

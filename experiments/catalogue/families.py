"""Which worlds are there, and what do their levels look like?"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from goalmaze.envs.ascii import letters_of, write_ascii
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.family_docs import family_sections
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.envs.rendering import frame
from goalmaze.experiments.catalogue.config import FamiliesConfig
from goalmaze.experiments.common.assignments import assignments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP = "   "
COLUMNS = 110
ABREAST = 7


@dataclasses.dataclass(frozen=True)
class FamiliesReport:
    """Families, each with one level of every distribution.

    Attributes:
        families: the families with their default parameters, but for the size.
        seed: of the levels.
    """

    families: tuple[Family, ...]
    seed: int

    def json(self) -> dict[str, Any]:
        """Return the families as plain data, their levels as ASCII pictures by distribution."""
        return {"families": [self._plain(family) for family in self.families]}

    def text(self) -> str:
        """Return a paragraph and a row of pictures for each family; all its sections where there is only one."""
        portraits = [self._portrait(family) for family in self.families]
        return "\n\n".join(
            [*portraits, *[family_sections(family) for family in self.families if len(self.families) == 1]]
        )

    def _plain(self, family: Family) -> dict[str, Any]:
        return {
            "name": family.name,
            "id": f"goalmaze/{family.name}-v0",
            "summary": _summary(family),
            "manual": family_sections(family),
            "goal": family.goal,
            "cue": family.cue,
            "planes": list(family.plane_names),
            "parameters": family.parameters,
            "shifts": dict(family.shifts),
            "distinguishing_shift": family.distinguishing_shift,
            "levels": {shift: self._picture(family, shift) for shift in (NO_SHIFT, *family.shifts)},
        }

    def _portrait(self, family: Family) -> str:
        lines = [f"{family.name}: {_summary(family)}", f"  goal {family.goal}, cue {family.cue}"]
        lines += [f"  {shift}: {what}" for shift, what in family.shifts.items()]
        letters = [f"{letter} {' + '.join(object_types)}" for letter, object_types in letters_of(family).items()]
        lines += ["  " + ", ".join(["A agent", *letters]), ""]
        titles = ["training" if shift == NO_SHIFT else shift for shift in (NO_SHIFT, *family.shifts)]
        pictures = [self._picture(family, shift).splitlines() for shift in (NO_SHIFT, *family.shifts)]
        columns = [_column(title, picture) for title, picture in zip(titles, pictures, strict=True)]
        abreast = max(1, COLUMNS // (len(columns[0][0]) + len(GAP)))
        for some in _batched(columns, abreast):
            lines += ["  " + GAP.join(row).rstrip() for row in zip(*some, strict=True)] + [""]
        return "\n".join(lines).rstrip()

    def _picture(self, family: Family, shift: str) -> str:
        return write_ascii(family.levels(self.seed, [0], shift)).rstrip()


def draw(report: FamiliesReport, pixels: int = 24) -> Figure:
    """Return one picture of a level of each distribution of each family, the training distribution first."""
    from matplotlib.figure import Figure  # slow to import, and the command itself draws nothing

    titles = [(family, shift) for family in report.families for shift in (NO_SHIFT, *family.shifts)]
    rows = -(-len(titles) // ABREAST)
    figure = Figure(figsize=(1.6 * ABREAST, 1.95 * rows), layout="constrained")
    axes = figure.subplots(rows, ABREAST, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, (family, shift) in zip(axes, titles, strict=False):
        levels = family.levels(report.seed, [0], shift)
        ax.imshow(frame(levels, 0, levels.start[0], pixels=pixels))
        ax.set_title(f"{family.name}\n{'training' if shift == NO_SHIFT else shift}", fontsize=8, loc="left")
    return figure


def _column(title: str, picture: list[str]) -> list[str]:
    width = max(len(picture[0]), 22)
    return [line.ljust(width) for line in (title, *picture)]


def _batched(columns: list[list[str]], size: int) -> list[list[list[str]]]:
    return [columns[i : i + size] for i in range(0, len(columns), size)]


def _summary(family: Family) -> str:
    return (type(family).__doc__ or "").strip().splitlines()[0]


def run(config: FamiliesConfig) -> FamiliesReport:
    """Return all families, or the one asked for.

    Raises:
        GoalmazeError: no such family or parameter, parameters without a family, or a size that is no maze's.
    """
    names = list(known_families())
    if config.family and config.family not in names:
        raise unknown("family", config.family, names)
    if config.parameters and not config.family:
        raise GoalmazeError("--parameters belong to one family: name it, as in goalmaze families GreenExit")
    parameters = {"size": config.size, **assignments(config.parameters, "--parameters")}
    chosen = [config.family] if config.family else names
    return FamiliesReport(tuple(make_family(name, parameters) for name in chosen), config.seed)

"""The page on shifts: every level distribution of every family, with one level drawn in each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from goalmaze.envs.ascii import letters_of, write_ascii
from goalmaze.envs.families import known_families
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.experiments.catalogue.pages import markdown

SIZE, SEED = 7, 0
COLUMNS = 72
GAP = "   "

INTRODUCTION = """A shift is a level distribution that differs from training. Level i of a shift is level i of the
training distribution, except for what the shift names. Under the *distinguishing shift* of a family goal and cue
always lie on different cells, so an agent shows which of them it follows. `goalmaze eval AGENT --shift NAME` evaluates
an agent under a shift, and `goalmaze eval AGENT --grid` under all of them."""


def page() -> str:
    """Return the page on the shifts of all families that come with the package."""
    families = [kind for kind in known_families().values() if kind.__module__.startswith("goalmaze.")]
    return markdown.page("Shifts", INTRODUCTION, *[section(kind(size=SIZE)) for kind in families])


def section(family: Family) -> str:
    """Return the section on one family: what each shift changes, and one level of each distribution."""
    rows = [
        [f"`{shift}`{' (distinguishing)' if shift == family.distinguishing_shift else ''}", what]
        for shift, what in family.shifts.items()
    ]
    letters = [f"`{letter}` {' and '.join(names)}" for letter, names in letters_of(family).items()]
    return "\n\n".join(
        [
            f"## {family.name}",
            f"Goal `{family.goal}`, cue `{family.cue}`. See [its rules](families.md#{family.name.lower()}).",
            markdown.table(["shift", "what changes"], rows),
            f"Level 0 of seed {SEED}; {', '.join(['`A` agent', *letters])}:",
            markdown.fence(pictures(family)),
        ]
    )


def pictures(family: Family) -> str:
    """Return one level of every distribution of a family as ASCII pictures, several beside each other."""
    columns = []
    for shift in (NO_SHIFT, *family.shifts):
        title = "training" if shift == NO_SHIFT else shift
        lines = [title, *write_ascii(family.levels(SEED, [0], shift)).rstrip().splitlines()]
        width = max(map(len, lines))
        columns.append([line.ljust(width) for line in lines])
    return "\n\n".join(
        "\n".join(GAP.join(line).rstrip() for line in zip(*row, strict=True)) for row in _rows_of(columns)
    )


def _rows_of(columns: Sequence[list[str]]) -> Iterator[list[list[str]]]:
    """Yield the pictures that fit beside each other."""
    row: list[list[str]] = []
    for column in columns:
        if row and sum(len(one[0]) + len(GAP) for one in itertools.chain(row, [column])) > COLUMNS:
            yield row
            row = []
        row.append(column)
    yield row

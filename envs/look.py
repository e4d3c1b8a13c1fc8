"""The visual language of the package: every colour and font of pictures, pages, reports, cards and figures.

Nothing else defines a colour. Pictures and observations take red, green and blue from here, figures take hexadecimal
strings, and pages take the custom properties of `goalmaze.experiments.common.style_sheet`. The tests find colours that
are written anywhere else, and simulate colour-blind readers.

The hues are those of Okabe and Ito (2008). Shapes, dashes and markers differ as well, so that no colour carries a
meaning alone.
"""

from __future__ import annotations

from typing import NamedTuple

Colour = tuple[int, int, int]
"""Red, green and blue, each from 0 to 255."""

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
BLUE: Colour = (0, 114, 178)
VERMILLION: Colour = (213, 94, 0)
GREEN: Colour = (0, 158, 115)
PINK: Colour = (204, 121, 167)
ORANGE: Colour = (230, 159, 0)
SKY: Colour = (86, 180, 233)
YELLOW: Colour = (240, 228, 66)
OLIVE: Colour = (138, 138, 60)
SLATE: Colour = (58, 63, 71)
PLUM: Colour = (163, 48, 110)

SERIES = (BLUE, VERMILLION, GREEN, PINK, ORANGE, SKY, BLACK, YELLOW)
"""Colours of the series of a figure, in this order."""

NOTE, FAINT, LINE = (85, 85, 85), (154, 154, 154), (229, 229, 229)
"""In figures: notes and reference lines; series that matter less; grid lines."""

STAND_IN: Colour = (1, 2, 3)
"""In charts of pages: what is replaced by the page's colour of text. Nothing else has this colour."""

WALL, FLOOR, GRID, RIM = SLATE, (246, 244, 239), (228, 225, 217), SLATE
AGENT, TARGET, TRAIL = VERMILLION, PINK, ORANGE
ARROW, CHANGED_ARROW = SLATE, PLUM
"""Arrows of a policy, and those that an edit changed."""

RAMP: tuple[Colour, ...] = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""The colour map of values from low to high, at five points: matplotlib's viridis."""

MAP, DIVERGING_MAP = "viridis", "RdBu_r"
"""Colour maps of figures: from low to high, and around 0."""

FONTS = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif'
FIXED_FONTS = "ui-monospace, monospace"
"""Fonts of text, and of commands and levels as text. Nothing is downloaded: each system shows its own."""


class Shades(NamedTuple):
    """One role's colour on pages.

    Attributes:
        light: on the light page.
        dark: on the dark page.
        forced: a system colour of CSS, for readers who force the colours of their system; empty where a drawing keeps
            its own.
        printed: on paper.
    """

    light: Colour
    dark: Colour
    forced: str
    printed: Colour


def _everywhere(colour: Colour, forced: str = "") -> Shades:
    return Shades(colour, colour, forced, colour)


PAGE: dict[str, Shades] = {
    # Page, text and controls.
    "paper": Shades((247, 246, 243), (20, 23, 27), "Canvas", WHITE),
    "card": Shades(WHITE, (29, 33, 39), "Canvas", WHITE),
    "ink": Shades((28, 32, 38), (236, 238, 241), "CanvasText", BLACK),
    "muted": Shades((93, 101, 112), (169, 177, 188), "CanvasText", (68, 68, 68)),
    "faint": Shades(FAINT, (123, 131, 142), "GrayText", FAINT),
    "line": Shades((220, 217, 209), (52, 58, 67), "CanvasText", (204, 204, 204)),
    "press": Shades((236, 235, 230), (43, 49, 57), "Canvas", (244, 244, 244)),
    "accent": Shades((0, 104, 163), SKY, "Highlight", (0, 104, 163)),
    "on-accent": Shades(WHITE, (13, 17, 20), "HighlightText", WHITE),
    "edit": Shades(PLUM, (231, 154, 195), "Highlight", PLUM),
    "on-edit": Shades(WHITE, (13, 17, 20), "HighlightText", WHITE),
    "bad": Shades((163, 59, 0), (255, 154, 92), "CanvasText", (163, 59, 0)),
    "good": Shades((0, 112, 80), (47, 199, 155), "CanvasText", (0, 112, 80)),
    "on-outcome": Shades(WHITE, (13, 17, 20), "Canvas", WHITE),
    # Words that name an object of the maze, in its hue, with the contrast that text needs.
    "exit": Shades((0, 104, 163), SKY, "CanvasText", (0, 104, 163)),
    "sign": Shades((0, 112, 80), (47, 199, 155), "CanvasText", (0, 112, 80)),
    "target": Shades(PLUM, (231, 154, 195), "CanvasText", PLUM),
    # Shades of tables, and the series of charts that are too dark for a dark page.
    "capability": Shades((120, 130, 142), (120, 130, 142), "", (120, 130, 142)),
    "cue": Shades((224, 138, 30), (185, 109, 16), "", (224, 138, 30)),
    "goal": Shades((63, 143, 196), (47, 127, 180), "", (63, 143, 196)),
    "series": Shades(BLUE, (61, 159, 216), "CanvasText", BLUE),
    # The maze is drawn alike on all pages. Objects have dark rims, so the floor stays light on the dark page.
    "wall": _everywhere(WALL, "CanvasText"),
    "floor": Shades(FLOOR, (211, 208, 200), "Canvas", WHITE),
    "grid": Shades(GRID, (193, 190, 181), "Canvas", GRID),
    "rim": _everywhere(RIM, "CanvasText"),
    "agent": _everywhere(AGENT),
    "agent-rim": _everywhere(WHITE),
    "trail": _everywhere(TRAIL),
    "ring": _everywhere(TARGET, "Highlight"),
    "arrow": _everywhere(ARROW, "CanvasText"),
    "changed-arrow": _everywhere(CHANGED_ARROW, "Highlight"),
    # Over a coloured floor, arrows and brackets have an outline, so that they are seen on every colour.
    "arrow-on-colour": _everywhere(WHITE),
    "outline": _everywhere((28, 32, 38)),
}
"""Role → its colours on pages."""


def counted(number: int) -> Colour:
    """Return the colour of a lamp that shows a number from 1 to 7."""
    return (36 * number, 180, 255 - 36 * number)


def hexadecimal(colour: Colour) -> str:
    """Return a colour as a hexadecimal string, as figures and style sheets take it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)

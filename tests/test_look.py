"""One visual language: colours are defined once, colour-blind readers tell them apart, and text has contrast."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import matplotlib as mpl
import pytest
from colour_vision import Colour, closest, contrast
from repository import ROOT

from goalmaze.envs import look
from goalmaze.experiments.common.style_sheet import style_sheet

DISTINCT = 10.0
"""Smallest distance in CIE L*a*b* of colours that mean different things; 2.3 is just noticeable side by side."""

TEXT, DRAWN = 4.5, 3.0
"""Contrast ratios that WCAG 2.2 demands of text and of drawings."""

HEX = re.compile(r"(?<![&\w])#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})\b|\b(?:rgba?|hsla?)\(\s*\d")
NAMED = re.compile(r":\s*(?:white|black|gr[ae]y|red|green|blue|orange|purple|yellow|silver)\b")
PLOTTED = re.compile(r"black|white|gr[ae]y|tab:\w+|C\d|[kwrgbcmy]|#[0-9a-fA-F]{3,8}")
COLOUR_ARGUMENTS = re.compile(r"colou?r$|^c$|^cmap$")
NUMBERS = ("(2, 51, 100)", "(1, 2, 130)")
"""Three numbers that are no colour: of Procgen's state, and exit codes."""
SHADES = ("light", "dark", "printed")


def sources(*endings: str) -> Iterator[Path]:
    """Yield the tracked files that draw: not the definition itself, tests, pages of words and notebooks."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in listed:
        outside = name == "envs/look.py" or name.startswith(("tests/", "notebooks/"))
        if name.endswith(endings) and not outside and (ROOT / name).is_file():
            yield ROOT / name


def colours_in_page(text: str) -> list[str]:
    """Return the colours that a style sheet, a page or a script writes itself."""
    # In a page, a colour's name after a colon is a word.
    return HEX.findall(text) + (NAMED.findall(text) if "{" in text else [])


def colours_in_python(text: str) -> list[str]:
    """Return the colours that Python code writes itself: as hexadecimal, as numbers, and by names of matplotlib."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(HEX, node.value):
            found.append(node.value)
        if isinstance(node, ast.keyword) and node.arg and COLOUR_ARGUMENTS.search(node.arg):
            value = node.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value != "none":
                found.append(value.value)
        if isinstance(node, ast.IfExp):
            branches = [one.value for one in (node.body, node.orelse) if isinstance(one, ast.Constant)]
            found += [one for one in branches if isinstance(one, str) and PLOTTED.fullmatch(one) and len(one) > 1]
        if isinstance(node, ast.Tuple) and len(node.elts) == 3:
            parts = [one.value for one in node.elts if isinstance(one, ast.Constant) and type(one.value) is int]
            if len(parts) == 3 and max(parts) <= 255 and min(parts) >= 0 and (max(parts) > 64 or not any(parts)):
                found.append(str(tuple(parts)))
    return [one for one in found if one not in NUMBERS]


def test_no_other_file_writes_a_colour() -> None:
    written = {}
    for path in sources(".css", ".js", ".html", ".svg"):
        written[path.name] = colours_in_page(path.read_text("utf-8"))
    for path in sources(".py"):
        written[str(path.relative_to(ROOT))] = colours_in_python(path.read_text("utf-8"))
    assert len(written) > 500, "the files were listed"
    assert {name: found for name, found in written.items() if found} == {}


@pytest.mark.parametrize(
    "planted", ["p { color: #a3306e }", "pen.fillStyle = '#fff'", "p { color: white }", "rgb(1 2 3)"]
)
def test_a_planted_colour_is_seen_in_a_page(planted: str) -> None:
    assert colours_in_page(planted)
    assert not colours_in_page("p { color: var(--ink); margin: 0 } a[href='#audit'] { } // &#8211; #scene= #12")


@pytest.mark.parametrize(
    "planted", ["a = '#0072b2'", "f(color='k')", "f(cmap='hot')", "c = (213, 94, 0)", "f('black' if a else b)"]
)
def test_a_planted_colour_is_seen_in_python(planted: str) -> None:
    assert colours_in_python(planted)
    assert not colours_in_python("f(color=PALETTE[0], edgecolor='none'); shape = (3, 4, 5); '#anchor'")


def shades(names: tuple[str, ...], shade: str) -> Mapping[str, Colour]:
    return {name: getattr(look.PAGE[name], shade) for name in names}


TOGETHER = {
    "maze": ("agent", "ring", "trail", "floor", "wall"),
    "arrows": ("arrow", "changed-arrow", "floor"),
    "tables": ("capability", "cue", "goal"),
    "words": ("exit", "sign", "target", "ink"),
    "outcomes": ("good", "bad", "muted"),
    "charts": ("accent", "edit"),
    "bars": ("accent", "muted"),
}
"""Roles that stand beside each other and mean different things."""


@pytest.mark.parametrize("names", TOGETHER.values(), ids=TOGETHER)
@pytest.mark.parametrize("shade", SHADES)
def test_colour_blind_readers_tell_roles_apart(names: tuple[str, ...], shade: str) -> None:
    assert closest(shades(names, shade))[0] > DISTINCT, closest(shades(names, shade))


def test_colour_blind_readers_tell_series_apart() -> None:
    assert closest({str(i): colour for i, colour in enumerate(look.SERIES)})[0] > DISTINCT


def test_a_palette_that_colour_blind_readers_confuse_is_seen() -> None:
    red_green = {"red": (214, 39, 40), "green": (44, 160, 44)}
    assert closest(red_green)[0] < DISTINCT
    assert closest({"blue": (63, 143, 196), "purple": (138, 111, 192)})[0] < DISTINCT
    # Only the simulated readers confuse them.
    assert closest(red_green)[3] != "full"


ON = {
    "paper": ("ink", "muted", "accent", "edit", "exit", "sign", "target"),
    "card": ("ink", "muted", "accent", "edit", "bad", "exit", "sign", "target"),
    "press": ("ink", "muted"),
    "accent": ("on-accent",),
    "edit": ("on-edit",),
    "good": ("on-outcome",),
    "bad": ("on-outcome",),
    "muted": ("on-outcome",),
}
"""Background → the roles of text on it."""


@pytest.mark.parametrize("shade", SHADES)
def test_text_and_drawings_have_contrast(shade: str) -> None:
    for ground, roles in ON.items():
        for role in roles:
            pair = [getattr(look.PAGE[name], shade) for name in (role, ground)]
            assert contrast(*pair) >= TEXT, (role, ground, contrast(*pair))
    # The path, the ring and objects have a rim, which carries their outline.
    for role in ("wall", "arrow", "changed-arrow", "rim"):
        pair = [getattr(look.PAGE[name], shade) for name in (role, "floor")]
        assert contrast(*pair) >= DRAWN, role
    assert contrast(look.PAGE["faint"].light, look.WHITE) < TEXT, "text that is too faint would be seen"


def test_the_style_sheet_and_the_colour_map_say_what_python_says() -> None:
    sheet = style_sheet()
    for name, one in look.PAGE.items():
        assert f"--{name}: {look.hexadecimal(one.light)};" in sheet
        assert sheet.count(f"--{name}:") == 4 + bool(one.forced)
    used = set()
    for path in sources(".css"):
        used |= set(re.findall(r"var\(--([\w-]+)", path.read_text("utf-8")))
    assert used - {"v", "floor-loss", "font", "fixed-font"} <= look.PAGE.keys(), "every property is defined"
    ramp = mpl.colormaps[look.MAP]
    for i, colour in enumerate(look.RAMP):
        # matplotlib's map has 256 colours.
        expected = [255 * part for part in ramp(i / (len(look.RAMP) - 1))[:3]]
        assert max(abs(a - b) for a, b in zip(colour, expected, strict=True)) < 2

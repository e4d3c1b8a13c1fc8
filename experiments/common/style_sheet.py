"""The colours and fonts of `goalmaze.envs.look` as CSS, which every page begins with."""

from __future__ import annotations

from goalmaze.envs.look import FIXED_FONTS, FONTS, PAGE, RAMP, Colour, hexadecimal


def style_sheet() -> str:
    """Return custom properties for the light, the dark and the printed page, and for colours that the reader forces.

    A page follows the system, unless its root element has the attribute `data-theme`. Scripts take the same properties
    from the computed style.
    """
    light = {name: shades.light for name, shades in PAGE.items()}
    dark = {name: shades.dark for name, shades in PAGE.items()}
    printed = {name: shades.printed for name, shades in PAGE.items()}
    forced = "".join(f" --{name}: {shades.forced};" for name, shades in PAGE.items() if shades.forced)
    ramp = " ".join(hexadecimal(colour) for colour in RAMP)
    return f"""/* Written from goalmaze/envs/look.py. */
:root {{ color-scheme: light dark; --font: {FONTS}; --fixed-font: {FIXED_FONTS}; --ramp: {ramp};{_properties(light)} }}
:root[data-theme="light"] {{ color-scheme: light; }}
@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{{_properties(dark)} }} }}
:root[data-theme="dark"] {{ color-scheme: dark;{_properties(dark)} }}
@media print {{ :root:root:root {{ color-scheme: light;{_properties(printed)} }} }}
@media (forced-colors: active) {{ :root:root:root {{{forced} }} }}
"""


def _properties(colours: dict[str, Colour]) -> str:
    return "".join(f" --{name}: {hexadecimal(colour)};" for name, colour in colours.items())

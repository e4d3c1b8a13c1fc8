"""How far apart two colours look, to readers with and without a colour-vision deficiency; and the contrast of text."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Floats = NDArray[np.float64]

DICHROMACY: dict[str, Floats] = {
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""Matrices of linear red, green and blue, from Machado, Oliveira and Fernandes (2009), severity 1."""

VISION = {"full": np.eye(3), **{name: DICHROMACY[name] for name in ("protanopia", "deuteranopia")}}
"""The visions that colours of one picture must be told apart with."""

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def linear(colour: Colour) -> Floats:
    """Return linear RGB of an sRGB colour."""
    part = np.asarray(colour, np.float64) / 255
    return np.asarray(np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4))


def lab(rgb: Floats) -> Floats:
    """Return CIE L*a*b* of linear RGB."""
    ratio = _TO_XYZ @ np.clip(rgb, 0, 1) / _WHITE
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(first: Colour, second: Colour, vision: str) -> float:
    """Return the distance of two colours in CIE L*a*b*, as somebody with this vision sees them."""
    matrix = VISION[vision]
    return float(np.linalg.norm(lab(matrix @ linear(first)) - lab(matrix @ linear(second))))


def closest(colours: Mapping[str, Colour]) -> tuple[float, str, str, str]:
    """Return the smallest distance among some colours under any vision: distance, the two names, the vision."""
    return min(
        (distance(colours[one], colours[other], vision), one, other, vision)
        for one, other in itertools.combinations(colours, 2)
        for vision in VISION
    )


def contrast(first: Colour, second: Colour) -> float:
    """Return the contrast ratio of WCAG 2.2, from 1 to 21."""
    low, high = sorted(float(_TO_XYZ[1] @ linear(colour)) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)

"""Cells: one integer each, ``row * W + column``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ABSENT = -1
"""The cell of an object that is not in the level."""

Bools = NDArray[np.bool_]
Cells = NDArray[np.int32]

"""The least that a batch of levels asks of its family: the names of its slots."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Slots:
    """Stands for a family where a test needs slots that no family has."""

    slots: tuple[str, ...]
    name: str = "Slots"

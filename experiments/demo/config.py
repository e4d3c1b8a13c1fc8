"""The options of `goalmaze demo`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from goalmaze.experiments.common.config import CommandConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoConfig(CommandConfig):
    """Show one agent in training and under a shift, what can be read from it, and how it is retargeted.

    Attributes:
        agent: a run folder or zoo:NAME.
        out: the file to draw the figure into.
    """

    examples = ("goalmaze demo --agent zoo:green-exit --out demo.png",)

    agent: str = "zoo:green-exit"
    out: Path = Path("demo.png")

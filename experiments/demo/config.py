"""The options of `goalmaze demo`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from goalmaze.experiments.common.config import CommandConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoConfig(CommandConfig):
    """Show one agent in training and under a shift, what can be read from it, and how goals are rewritten.

    Attributes:
        agent: a run folder or zoo:NAME.
        remembering: a run folder or zoo:NAME, of an agent with a memory, whose remembered goal is rewritten.
        out: the file to draw the figure into.
    """

    examples = ("goalmaze demo --agent zoo:green-exit --out demo.png",)

    agent: str = "zoo:green-exit"
    remembering: str = "zoo:glimpse-drc"
    out: Path = Path("demo.png")

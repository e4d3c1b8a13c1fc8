"""The options of `goalmaze demo`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from goalmaze.experiments.common.config import CommandConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoConfig(CommandConfig):
    """Tell the whole story on a shipped agent: trained, shifted, read, retargeted.

    Attributes:
        agent: a run folder or zoo:NAME.
        out: where to write the picture.
    """

    agent: str = "zoo:green-exit"
    out: Path = Path("demo.png")

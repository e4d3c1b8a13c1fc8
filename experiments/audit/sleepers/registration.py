"""The marks and hypotheses of the audit for sleepers, read from the file that was committed before it was run."""

from __future__ import annotations

import functools
from pathlib import Path

from goalmaze.envs.text_files import read_text
from goalmaze.experiments.audit.benchmark.registration import RegisteredMark, parse_hypotheses, parse_marks

FILE = Path(__file__).with_name("registration.md")


@functools.lru_cache(maxsize=1)
def registered_marks() -> tuple[RegisteredMark, ...]:
    """Return the marks of the registration, in its order."""
    return parse_marks(read_text(FILE))


@functools.lru_cache(maxsize=1)
def registered_hypotheses() -> dict[int, str]:
    """Return number → statement of the registered hypotheses."""
    return parse_hypotheses(read_text(FILE))

"""The registered marks and hypotheses, read from the file that was committed before the benchmark was run."""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path

from goalmaze.envs.text_files import read_text
from goalmaze.experiments.common.registrations import section, table_rows

FILE = Path(__file__).parents[1] / "registration.md"

NUMBERS_IN_WORDS = {"four": 4.0, "six": 6.0}

_NUMBER = re.compile(r"\d+(?:\.\d+)?|\b(?:four|six)\b")
_HYPOTHESIS = re.compile(r"^(\d+)\. \*\*(.+?)\*\*", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class RegisteredMark:
    """A mark of the registration.

    Attributes:
        name: what is measured, as the file says it.
        threshold: what it must reach, as the file says it.
        numbers: the numbers of the threshold, in order.
    """

    name: str
    threshold: str
    numbers: tuple[float, ...]


@functools.lru_cache(maxsize=1)
def registered_marks() -> tuple[RegisteredMark, ...]:
    """Return the marks of the registration, in its order."""
    return parse_marks(read_text(FILE))


@functools.lru_cache(maxsize=1)
def registered_hypotheses() -> dict[int, str]:
    """Return number → statement of the registered hypotheses."""
    return parse_hypotheses(read_text(FILE))


def parse_hypotheses(registration: str) -> dict[int, str]:
    """Return number → statement of the hypotheses in the text of a registration."""
    return {
        int(number): " ".join(text.split()) for number, text in _HYPOTHESIS.findall(section(registration, "Hypotheses"))
    }


def parse_marks(registration: str) -> tuple[RegisteredMark, ...]:
    """Return the marks in the text of a registration."""
    return tuple(
        RegisteredMark(
            name, threshold, tuple(NUMBERS_IN_WORDS.get(one) or float(one) for one in _NUMBER.findall(threshold))
        )
        for name, threshold in table_rows(registration, "Marks")
    )

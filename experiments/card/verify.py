"""Verifying a card: file, data and digest agree, and so does every number with a new measurement."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec

from goalmaze.agents.loading import Agent
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.text_files import read_text
from goalmaze.envs.versions import installed_version
from goalmaze.experiments.card.card import card, subject_of
from goalmaze.experiments.card.config import SUFFIXES
from goalmaze.experiments.card.document import (
    FORMAT,
    CardData,
    Process,
    Quantity,
    Subject,
    mark_results,
    overall,
    sealed,
)
from goalmaze.experiments.card.example import example_of
from goalmaze.experiments.card.policy import check_policy
from goalmaze.experiments.card.render import data_of, first_difference, rendered
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.live.links import check_page

TOLERANCE = 0.02
"""Largest difference of a number without an interval where rounding differs between machines or versions."""


@dataclasses.dataclass(frozen=True)
class CardVerification(Result):
    """A card that was measured again and agrees.

    Attributes:
        agent: its agent.
        numbers: number of quantities that were compared.
        exact: whether they were compared exactly; otherwise within their intervals, on another machine or version.
        outcome: of the card.
    """

    agent: str
    numbers: int
    exact: bool
    outcome: str

    def json(self) -> JsonObject:
        """Return the verification as plain data."""
        return dataclasses.asdict(self)

    def blocks(self) -> list[str | Table]:
        """Return what was compared."""
        how = (
            "they are equal"
            if self.exact
            else "they agree within their intervals (this machine or its versions are not those of the card)"
        )
        return [
            f"the card of {self.agent} is verified: {self.numbers} quantities were measured again, {how}\n"
            f"its outcome: {self.outcome}"
        ]


def read_card(path: Path) -> CardData:
    """Read a card and check that file, data, digest and outcomes agree; nothing is measured.

    Raises:
        GoalmazeError: the file is no card, or something in it was changed; the message names it.
    """
    if path.suffix not in SUFFIXES:
        raise GoalmazeError(f"{path} is no card: its name must end in {', '.join(SUFFIXES)}")
    try:
        text = read_text(path)
        data = data_of(text, path.suffix)
        if data is None:
            raise GoalmazeError(f"{path} is no card: it holds no data of a card")
        found = msgspec.json.decode(data, type=CardData)
    except OSError as error:
        raise GoalmazeError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise GoalmazeError(f"{path} is no card: {' '.join(str(error).split())}") from None
    if found.format != FORMAT:
        raise GoalmazeError(f"{path} has format {found.format}, this version reads {FORMAT}")
    check_policy(found.policy, f"the policy in {path}")
    if found.process.example is not None:
        check_page(found.process.example.page)
        if not found.process.example.link.startswith(f"{found.process.example.page}#scene="):
            raise GoalmazeError(f"{path} was changed: its link does not lead to its page")
    if sealed(found).digest != found.digest:
        raise GoalmazeError(f"{path} was changed: its digest is {sealed(found).digest[:16]}, not {found.digest[:16]}")
    marks = mark_results(found.policy, found.results)
    if marks != found.marks or overall(marks) != found.outcome:
        raise GoalmazeError(f"{path} was changed: its outcomes do not follow from its results")
    difference = first_difference(text.replace("\r\n", "\n"), rendered(found, path.suffix))
    if difference is not None:
        # Another version may draw the same data in another way.
        writer, reader = found.process.environment.get("goalmaze", ""), installed_version("goalmaze")
        hint = "" if writer == reader else f"; goalmaze {writer} wrote it, so verify the data in it as a .json file"
        raise GoalmazeError(f"{path} was changed: {difference}, which its data does not say{hint}")
    return found


def verify_card(path: Path, agent: Agent, found: CardData) -> CardVerification:
    """Measure every number of a card again and compare it.

    Args:
        path: the file, for errors.
        agent: the agent of the card.
        found: the card.

    Raises:
        GoalmazeError: something differs; the message names the first such thing.
    """
    # Digests first: they cost nothing.
    _compare(path, "subject", msgspec.structs.replace(subject_of(agent), agent=found.subject.agent), found.subject)
    example = found.process.example
    if example is not None and example != example_of(agent, example.page, found.subject.agent, found.process.seed):
        raise GoalmazeError(f"{path} does not hold: its link does not open the level that the rule chooses")
    again = card(agent, found.policy).data
    _compare(path, "process", again.process, msgspec.structs.replace(found.process, example=None))
    exact = again.process.environment == found.process.environment
    if set(again.results) != set(found.results):
        names = ", ".join(sorted(set(again.results) ^ set(found.results)))
        raise GoalmazeError(f"{path} does not hold: other quantities are measured now: {names[:200]}")
    for name, quantity in found.results.items():
        now = again.results[name]
        if not (quantity == now if exact else agrees(quantity, now)):
            raise GoalmazeError(f"{path} does not hold: {name} is {quantity.text()}, measured again {now.text()}")
    texts = ["never_lit", "scope", "method", "limitations", *(["evidence", "access"] if exact else [])]
    for field in texts:
        if getattr(again, field) != getattr(found, field):
            raise GoalmazeError(f"{path} does not hold: {field} is not what is found now")
    return CardVerification(found.subject.agent, len(found.results), exact, found.outcome)


def _compare(path: Path, what: str, now: Subject | Process, reported: Subject | Process) -> None:
    """Refuse a card whose subject or process differs from the present one; command and environment may."""
    for field in now.__struct_fields__:
        one, other = getattr(now, field), getattr(reported, field)
        if field not in ("command", "environment") and one != other:
            raise GoalmazeError(f"{path} does not hold: {what}.{field} is {str(other)[:90]}, now {str(one)[:90]}")


def agrees(reported: Quantity, now: Quantity) -> bool:
    """Return whether a new number lies in the interval of a reported one, or near it where it has none."""
    if reported.value is None or now.value is None:
        return reported.value == now.value
    if reported.low is None or reported.high is None:
        return abs(reported.value - now.value) <= max(TOLERANCE, TOLERANCE * abs(now.value))
    # The reported interval must be that of its value, not a wide one that everything lies in.
    widths = (reported.high - reported.low, (now.high or 0.0) - (now.low or 0.0))
    return reported.low <= now.value <= reported.high and abs(widths[0] - widths[1]) <= TOLERANCE
